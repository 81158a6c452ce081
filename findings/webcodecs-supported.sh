#!/usr/bin/env bash
# Guess: what AudioEncoder.isConfigSupported() calls supported is done; what it does not know it leaves out, since Opus' settings are all in the registry.
# Seen: Chromium supports frames of 30 ms, which Opus has not, and fails with an EncodingError at the first. Firefox leaves out application and signal,
#       without a word.
# mynah: its page encodes no Opus yet; it will trust no `supported`, and try.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const odd = { ...base, opus: { frameDuration: 30000 } };
const ask = async (config) => (await AudioEncoder.isConfigSupported(config)).supported;
const full = { ...base, opus: { application: 'voip', signal: 'voice', complexity: 9, frameDuration: 20000 } };
const r = await encode(odd, 5, source(48000, 30, voice));
return { odd: String(await ask(odd).catch((error) => error.name)), failed: r.error,
    taken: Object.keys((await AudioEncoder.isConfigSupported(full)).config.opus).filter((key) => key in full.opus).sort().join() };
JS
in_page chromium webcodecs.js <measure.js
expect "Chromium: frames of 30 ms are supported" "$(value odd)" true
expect "   and encoded" "$(value failed)" EncodingError
expect "   settings taken" "$(value taken)" application,complexity,frameDuration,signal
in_page firefox webcodecs.js <measure.js
expect "Firefox: frames of 30 ms are supported" "$(value odd)" TypeError
expect "   settings taken" "$(value taken)" complexity,frameDuration
finish
