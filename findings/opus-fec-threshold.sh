#!/usr/bin/env bash
# Guess: with in-band FEC on and an expected loss of 5 % the packets carry some redundancy.
# Seen: full band at 24 kbit/s: none at all up to 5 %, in nine packets of ten from 6 % on, for which the encoder then gives up
#       the band above 8 kHz. At 32 kbit/s from 1 % on.
# mynah: has no Opus yet; an encoder will be told at least 6 % as soon as any loss is seen.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import opus, sound

x = sound.speech(48000, 6)
for bitrate, loss in ((24000, 1), (24000, 5), (24000, 6), (24000, 20), (32000, 1)):
    packets = opus.Encoder(48000, bitrate=bitrate, fec=1, loss=loss).all(x, 960)
    print(f"{bitrate}_{loss}", sum(map(opus.has_lbrr, packets)))
    print(f"band_{bitrate}_{loss}", opus.bandwidth(packets[150]))
PY
python3 measure.py >out
between "24 kbit/s, 1 % expected: packets with redundancy of 300" "$(value 24000_1)" 0 0
between "24 kbit/s, 5 %" "$(value 24000_5)" 0 0
between "24 kbit/s, 6 %" "$(value 24000_6)" 240 300
between "24 kbit/s, 20 %" "$(value 24000_20)" 240 300
between "32 kbit/s, 1 %" "$(value 32000_1)" 240 300
expect "band at 24 kbit/s and 5 %" "$(value band_24000_5)" FB
expect "band at 24 kbit/s and 6 %" "$(value band_24000_6)" WB
finish
