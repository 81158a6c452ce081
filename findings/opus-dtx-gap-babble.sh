#!/usr/bin/env bash
# Guess: in the gaps that DTX leaves a decoder makes steady comfort noise, whatever its complexity.
# Seen: at 0 it does; with the neural concealment, from 5 on, the gaps get bursts 11 dB above the noise.
# mynah: has no Opus yet; its decoders will stay at 0.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import numpy as np
import opus, sound

x = np.concatenate([sound.speech(16000, 6), sound.noise(16000, 10, -55)])
packets = opus.Encoder(16000, bitrate=24000, dtx=1, complexity=9).all(x, 320)
for c in (0, 5):
    decoder = opus.Decoder(16000, complexity=c)
    level = [sound.db(decoder.decode(p if len(p) > 2 else None, 320)) for p in packets][330:]
    print(f"over_{c}", round(max(level) - np.median(level), 1))
print("left_out", sum(len(p) <= 2 for p in packets[300:]))
PY
python3 measure.py >out
between "frames left out of 500" "$(value left_out)" 400 500
between "complexity 0: the loudest frame of the gaps above the usual, dB" "$(value over_0)" 0 4
between "complexity 5" "$(value over_5)" 7 25
finish
