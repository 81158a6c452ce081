#!/usr/bin/env bash
# Guess: an AudioDecoder of Opus that sees a gap in the timestamps conceals it, or an empty chunk tells it to.
# Seen: neither. Chromium closes the gap: its output is numbered on from the first chunk, 20 ms early for each loss. Firefox' timestamps jump. An empty chunk
#       is an EncodingError that closes the decoder. A chunk of one byte, the first of the one before, gives 20 ms of sound in both.
# mynah: its page decodes no Opus yet; it will keep its own clock, and feed one byte for each lost packet.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1

cat >measure.js <<'JS'
const { bytes } = await encode(base, 50, source(48000, 20, voice));
const packets = bytes.slice(0, 50);
const with30 = (packet) => decode(packets.with(30, packet));
const lost = await with30(null), empty = await with30(new Uint8Array(0)), one = await with30(bytes[29].subarray(0, 1));
return { lost: lost.pieces.length, lost_after: lost.pieces[30].timestamp, empty: empty.error + ', ' + empty.state, one: one.pieces.length,
    one_frames: one.pieces[30].frames, one_after: one.pieces[31].timestamp, one_state: one.state };
JS
for browser in chromium firefox; do
	in_page $browser webcodecs.js <measure.js
	case $browser in chromium) after=600000 ;; firefox) after=620000 ;; esac
	expect "$browser: pieces of 50 packets with the one of 600 ms lost" "$(value lost)" 49
	expect "   timestamp of the piece after the loss" "$(value lost_after)" $after
	expect "   an empty chunk" "$(value empty)" "EncodingError, closed"
	expect "   one byte: pieces, the decoder after it" "$(value one), $(value one_state)" "50, configured"
	expect "   its samples" "$(value one_frames)" 960
	expect "   timestamp after it" "$(value one_after)" 620000
done
finish
