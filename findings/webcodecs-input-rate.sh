#!/usr/bin/env bash
# Guess: an AudioEncoder resamples what comes at another rate than it was configured with, since a browser resamples everything.
# Seen: EncodingError, and the encoder is closed.
# mynah: the page knows the rate of its AudioContext and asks for no other.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const right = source(48000, 20, voice), other = source(16000, 20, voice);
let i = 0;
const r = await encode(base, 6, () => i++ < 3 ? right() : other(), (encoder) => i === 3 ? encoder.flush() : null);
return { chunks: r.chunks.length, failed: r.error, state: r.state };
JS
for browser in chromium firefox; do
	in_page $browser webcodecs.js <measure.js
	expect "$browser: after 3 frames of 48 kHz one of 16 kHz" "$(value failed), $(value state)" "EncodingError, closed"
	between "   chunks before it" "$(value chunks)" 3 4
done
finish
