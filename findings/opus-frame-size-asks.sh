#!/usr/bin/env bash
# Guess: frame_size of opus_decode() is the room in the buffer; how much sound comes is the packet's matter.
# Seen: so with a packet; for a lost one frame_size *is* the duration: a buffer for the longest packet (120 ms) makes
#       120 ms of concealment for 20 ms that were lost. A packet of one byte, its table of contents alone, is a loss, too,
#       sample for sample.
# mynah: has no Opus yet; its decoder will be given the lost duration, and its relays will drop packets of one byte.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import numpy as np
import opus, sound

RATE, FRAME, ROOM = 48000, 960, 5760
packets = opus.Encoder(RATE, bitrate=24000).all(sound.speech(RATE, 3), FRAME)
a, b, c = opus.Decoder(RATE), opus.Decoder(RATE), opus.Decoder(RATE)
for p in packets[:100]:
    for d in a, b, c:
        came = len(d.decode(p, ROOM))
print("packet", came)
print("lost", len(a.decode(None, ROOM)))
print("one_byte", "same" if np.array_equal(b.decode(packets[100][:1], FRAME), c.decode(None, FRAME)) else "other")
PY
python3 measure.py >out
expect "a packet of 20 ms into a buffer of 5760 samples" "$(value packet)" 960
expect "a loss into the same buffer" "$(value lost)" 5760
expect "a packet of one byte, compared with a loss" "$(value one_byte)" same
finish
