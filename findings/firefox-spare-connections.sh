#!/usr/bin/env bash
# Guess: a page that opens one WebTransport session after another makes a QUIC connection for each.
# Seen: Chromium does; Firefox makes up to twice as many, and asks for nothing on the others.
# mynah: ends connections soon that never ask for anything, and counts none of them as a participant.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

peer, result = wt_peer.visit(sys.argv[1], """
let opened = 0;
for (let i = 0; i < 10; i++) {
    const { wt, outcome } = await attempt('/' + 'abcdefghij'[i]);
    opened += outcome === 'opened';
    wt.close();
}
return { opened };
""")
print("opened", result.get("opened"))
print("connections", peer.connections)
PY
python3 measure.py chromium >out
expect "Chromium: sessions" "$(value opened)" 10
between "   connections" "$(value connections)" 10 11
python3 measure.py firefox >out
expect "Firefox: sessions" "$(value opened)" 10
between "   connections" "$(value connections)" 13 40
finish
