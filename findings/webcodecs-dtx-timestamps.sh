#!/usr/bin/env bash
# Guess: with Opus' usedtx an AudioEncoder leaves chunks out, and the timestamps of the others show the gaps.
# Seen: in Firefox so. In Chromium the chunks are left out and the timestamps go on as if there had been no gap: ten seconds with eight of
#       silence become three. And Firefox' flush() fails and closes the encoder when it is called in such a silence.
# mynah: its page encodes no Opus yet; its frames count the samples that went in, which no timestamp of an encoder replaces.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const opus = { usedtx: true, complexity: 5, frameDuration: 20000, application: 'voip', signal: 'voice' };
const r = await encode({ ...base, opus }, 500, source(48000, 20, (t) => t < 2 ? voice(t) : 0), (_, i) => i % 20 || sleep(1));
const times = r.chunks.map((chunk) => chunk.timestamp);
return { chunks: times.length, last: times.at(-1) / 1000, gap: Math.max(...times.slice(1).map((t, i) => t - times[i])) / 1000, state: r.state,
    failed: r.error };
JS
in_page chromium webcodecs.js <measure.js
between "Chromium: chunks of 500 that come" "$(value chunks)" 100 200
between "   timestamp of the last, ms" "$(value last)" 2000 4000
between "   longest step between two, ms" "$(value gap)" 19 21
in_page firefox webcodecs.js <measure.js
between "Firefox: chunks of 500 that come" "$(value chunks)" 100 200
between "   timestamp of the last, ms" "$(value last)" 9000 10000
between "   longest step between two, ms" "$(value gap)" 300 500
expect "   flush() in silence" "$(value failed), $(value state)" "EncodingError, closed"
finish
