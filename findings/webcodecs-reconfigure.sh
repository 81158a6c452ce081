#!/usr/bin/env bash
# Guess: a second configure() of an AudioEncoder, after flush(), puts the new settings into force.
# Seen: Firefox goes on with the bitrate of the first; Chromium takes the bitrate. A change inside `opus` alone (frameDuration) is ignored by both
#       without a word.
# mynah: its page encodes no Opus yet; it will make a new encoder for new settings.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const again = (config) => async (encoder, i) => {
    if (i === 49) {
        await encoder.flush();
        encoder.configure(config);
    }
};
const rate = (list) => Math.round(mean(list) * 400);
const a = await encode({ ...base, bitrate: 64000 }, 100, source(48000, 20, voice), again({ ...base, bitrate: 12000 }));
const sizes = a.bytes.map((bytes) => bytes.length);
const opus = (frameDuration) => ({ ...base, opus: { frameDuration } });
const b = await encode(opus(20000), 100, source(48000, 20, voice), again(opus(60000)));
return { first: rate(sizes.slice(5, 45)), second: rate(sizes.slice(60, 95)), duration: b.chunks.at(-5).duration, count: b.chunks.length };
JS
in_page chromium webcodecs.js <measure.js
between "Chromium: bit/s at 64000" "$(value first)" 50000 75000
between "   after configure() with 12000" "$(value second)" 9000 18000
expect "   microseconds of a chunk after configure() with 60 ms" "$(value duration)" 20000
in_page firefox webcodecs.js <measure.js
between "Firefox: bit/s at 64000" "$(value first)" 50000 130000
between "   after configure() with 12000" "$(value second)" 50000 130000
expect "   microseconds of a chunk after configure() with 60 ms" "$(value duration)" 20000
finish
