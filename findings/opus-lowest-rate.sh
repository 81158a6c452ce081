#!/usr/bin/env bash
# Guess: OPUS_SET_BITRATE(1200) is refused, or gives 1200 bit/s.
# Seen: it is accepted, and at the defaults (variable rate) four times that comes out; only a constant rate keeps to it.
# mynah: has no Opus yet; a budget in bytes will be kept with a constant rate.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import opus, sound

x = sound.speech(16000, 8)
for vbr in (1, 0):
    print(f"vbr_{vbr}", sum(map(len, opus.Encoder(16000, bitrate=1200, vbr=vbr).all(x, 320))))
PY
python3 measure.py >out
between "bit/s at the defaults, asked for 1200" "$(value vbr_1)" 3500 6000
between "bit/s at a constant rate" "$(value vbr_0)" 1200 1200
finish
