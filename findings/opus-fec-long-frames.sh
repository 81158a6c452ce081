#!/usr/bin/env bash
# Guess: redundancy that opus_packet_has_lbrr() reports brings back a lost frame of 40 or 60 ms as it does one of 20 ms.
# Seen: in wide band it does. In the hybrid modes (full band at 32 to 64 kbit/s) nine packets of ten report it, and a frame of
#       20 ms comes back with 16 dB, one of 40 ms with 2 to 3 dB and one of 60 ms with no more than concealment gives.
# mynah: has no Opus yet; with it, frames of 20 ms wherever loss is to be repaired.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libopus0=1.5.2-2

cat >measure.py <<'PY'
import numpy as np
import opus, sound

def repaired(rate, ms, bitrate, fec):
    """Every sixth packet is lost. Packets with redundancy, and dB over the error of what came instead, in loud frames."""
    frame = rate * ms // 1000
    packets = opus.Encoder(rate, fec=1, loss=20, bitrate=bitrate).all(sound.speech(rate, 12), frame)
    whole = opus.Decoder(rate)
    wanted = [whole.decode(p, frame) for p in packets]
    decoder, got = opus.Decoder(rate), []
    for i, p in enumerate(packets):
        if i % 6 == 4:
            continue
        if i % 6 == 5:
            y = decoder.decode(p if fec else None, frame, fec)
            if sound.db(wanted[i - 1]) > -36:
                got.append(sound.snr(wanted[i - 1], y))
        decoder.decode(p, frame)
    return 100 * sum(map(opus.has_lbrr, packets)) // len(packets), np.median(got)

for name, rate, bitrate in (("hybrid", 48000, 40000), ("wideband", 16000, 32000)):
    for ms in (20, 40, 60):
        share, db = repaired(rate, ms, bitrate, 1)
        print(f"{name}_{ms}", round(db, 1))
        print(f"plc_{name}_{ms}", round(repaired(rate, ms, bitrate, 0)[1], 1))
        print(f"share_{name}_{ms}", share)
PY
python3 measure.py >out
between "hybrid, 20 ms: dB of what is repaired" "$(value hybrid_20)" 12 22
between "hybrid, 40 ms" "$(value hybrid_40)" -1 6
between "   by concealment alone" "$(value plc_hybrid_40)" -2 3
between "   per cent of packets that claim to have redundancy" "$(value share_hybrid_40)" 80 100
between "hybrid, 60 ms" "$(value hybrid_60)" -2 3
between "   by concealment alone" "$(value plc_hybrid_60)" -2 3
between "wide band, 20 ms" "$(value wideband_20)" 11 20
between "wide band, 40 ms" "$(value wideband_40)" 9 20
between "wide band, 60 ms" "$(value wideband_60)" 8 20
finish
