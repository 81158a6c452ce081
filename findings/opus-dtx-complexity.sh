#!/usr/bin/env bash
# Guess: DTX sends next to nothing while nobody speaks, at every complexity; more complexity is only better.
# Seen: at complexity 7 and above steady noise is sent in full for as long as nothing louder came before it; once somebody
#       has spoken, the same noise is left out. At 6 a part of it is left out in both cases.
# mynah: has no Opus yet; its own voice detection will decide when silence follows, not the encoder.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import numpy as np
import opus, sound

RATE, FRAME = 16000, 320
noise = sound.noise(RATE, 30, -50)
spoken = sound.speech(RATE, 4) + sound.noise(RATE, 4, -50, seed=2)

def left_out(x, complexity):
    """Of the frames of the last 30 s, how many were not worth sending."""
    packets = opus.Encoder(RATE, bitrate=24000, dtx=1, complexity=complexity).all(x, FRAME)
    return sum(len(p) <= 2 for p in packets[-1500:])

for c in (6, 7, 9):
    print(f"noise_{c}", left_out(noise, c))
    print(f"spoken_{c}", left_out(np.concatenate([spoken, noise]), c))
PY
python3 measure.py >out
for c in 6 7 9; do
	case $c in 6) low=50 high=400 ;; *) low=0 high=0 ;; esac
	between "complexity $c, 30 s of noise at -50 dBFS: frames left out of 1500" "$(value noise_$c)" $low $high
done
between "complexity 6, the same after 4 s of speech" "$(value spoken_6)" 50 400
between "complexity 7, the same after 4 s of speech" "$(value spoken_7)" 1200 1500
between "complexity 9, the same after 4 s of speech" "$(value spoken_9)" 1200 1500
finish
