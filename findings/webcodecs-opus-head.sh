#!/usr/bin/env bash
# Guess: the description of an Opus AudioEncoder is an OpusHead as RFC 7845 has it, with a pre-skip in samples of 48 kHz: 312.
# Seen: in Chromium the pre-skip is counted at the rate of the input: 104 at 16 kHz. In Firefox it is 312 at every rate.
# mynah: its page encodes no Opus yet; a recording will have a head of the server's own.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const skip = {};
for (const sampleRate of [16000, 48000]) {
    const { description } = await encode({ ...base, sampleRate }, 5, source(sampleRate, 20, voice));
    skip['at_' + sampleRate] = new DataView(description.buffer ?? description, description.byteOffset ?? 0).getUint16(10, true);
}
return skip;
JS
in_page chromium webcodecs.js <measure.js
expect "Chromium: pre-skip at 16 kHz" "$(value at_16000)" 104
expect "   at 48 kHz" "$(value at_48000)" 312
in_page firefox webcodecs.js <measure.js
expect "Firefox: pre-skip at 16 kHz" "$(value at_16000)" 312
expect "   at 48 kHz" "$(value at_48000)" 312
finish
