#!/usr/bin/env bash
# Guess: flush() of an AudioEncoder after each frame only makes sure that its chunk comes out.
# Seen: each flush() adds a chunk that nobody put in, with the same timestamp as the next one that is real: twice as many
#       packets.
# mynah: its page encodes no Opus yet; it will not flush before the end.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const often = await encode(base, 10, source(48000, 20, voice), (encoder) => encoder.flush());
const once = await encode(base, 10, source(48000, 20, voice));
const times = often.chunks.map((chunk) => chunk.timestamp);
return { often: times.length, once: once.chunks.length, same: times.length - new Set(times).size };
JS
for browser in chromium firefox; do
	in_page $browser webcodecs.js <measure.js
	expect "$browser: chunks of ten frames, one flush() at the end" "$(value once)" 11
	between "   with a flush() after each" "$(value often)" 19 21
	between "   of these with the timestamp of another" "$(value same)" 9 10
done
finish
