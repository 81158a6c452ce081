#!/usr/bin/env bash
# Guess: OPUS_SET_COMPLEXITY is a matter of the encoder; a decoder takes it and nothing changes.
# Seen: from 5 on a decoder conceals losses with a neural network: a lost frame costs some 25 times as much as at 4, and
#       sound that arrived whole comes out with other samples from 6 on.
# mynah: has no Opus yet; its decoders will stay at 0, where a lost frame is the cheapest.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import time
import numpy as np
import opus, sound

RATE, FRAME = 16000, 320
packets = opus.Encoder(RATE, bitrate=24000).all(sound.speech(RATE, 6), FRAME)
whole = {c: np.concatenate([d.decode(p, FRAME) for p in packets]) for c in (0, 4, 5, 6, 7)
         for d in [opus.Decoder(RATE, complexity=c)]}
print("version", opus.version())
for c in (4, 5, 6, 7):
    print(f"same_{c}", "yes" if np.array_equal(whole[0], whole[c]) else "no")

def cost(complexity):
    """Microseconds of a lost frame, the median of those in speech."""
    d, spent = opus.Decoder(RATE, complexity=complexity), []
    for i, p in enumerate(packets):
        if i % 5 == 4:
            start = time.thread_time()
            d.decode(None, FRAME)
            spent.append(time.thread_time() - start)
        else:
            d.decode(p, FRAME)
    return np.median(spent) * 1e6

print("times", round(cost(5) / cost(4), 1))
PY
python3 measure.py >out
expect "version" "$(value version)" "libopus 1.5.2"
expect "decoded at complexity 4, the samples are those of 0" "$(value same_4)" yes
expect "at 5" "$(value same_5)" yes
expect "at 6 (LACE)" "$(value same_6)" no
expect "at 7 (NoLACE)" "$(value same_7)" no
between "a lost frame at 5 costs as many times that at 4" "$(value times)" 8 80
finish
