#!/usr/bin/env bash
# Guess: a decoder that is handed from one talker's packets to another's has to be reset, or it clicks.
# Seen: the other way round: without a reset the seam is 10 dB below the steps of the sound around it; OPUS_RESET_STATE makes
#       it 4 to 9 dB above them.
# mynah: has no Opus yet; where a stream changes its talker, the decoder goes on.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import numpy as np
import opus, sound

OTHER = "Seven boats cross the lake at noon, and the ferryman sings about a sister who went to sea."

def seam(last, first):
    """The step from one to the next beside the usual steps around it, in dB."""
    half = len(last) // 2
    steps = np.abs(np.diff(np.concatenate([last[half:], first[:half]])))
    return 20 * np.log10(steps[half - 1] / np.sqrt(np.mean(np.delete(steps, half - 1) ** 2)) + 1e-9)

def seams(rate, reset):
    frame = rate // 50
    ann, bob = (opus.Encoder(rate, bitrate=24000).all(sound.speech(rate, 8, text=t), frame) for t in (sound.SENTENCE, OTHER))
    found = []
    for at in range(40, 380, 7):
        decoder = opus.Decoder(rate)
        for p in ann[at - 30:at]:
            last = decoder.decode(p, frame)
        if reset:
            decoder.reset()
        first = decoder.decode(bob[at], frame)
        if sound.db(last[frame // 2:]) > -40:
            found.append(seam(last, first))
    return round(np.median(found), 1)

for rate in (16000, 48000):
    print(f"plain_{rate}", seams(rate, False))
    print(f"reset_{rate}", seams(rate, True))
PY
python3 measure.py >out
between "16 kHz: the seam beside its surroundings, dB" "$(value plain_16000)" -18 -3
between "16 kHz, after OPUS_RESET_STATE" "$(value reset_16000)" 1 12
between "48 kHz" "$(value plain_48000)" -18 -3
between "48 kHz, after OPUS_RESET_STATE" "$(value reset_48000)" 6 20
finish
