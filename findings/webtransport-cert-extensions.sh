#!/usr/bin/env bash
# Guess: serverCertificateHashes wants what the specification lists: the hash, an ECDSA key on P-256, no more than 14 days.
# Seen: Chromium also wants an X.509 extension in the certificate, no matter which, and says only "Opening handshake failed"; Firefox does not.
# mynah: puts names into the certificates that it makes, and says of another, whose hash it would give to pages, "it has no extensions".
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs chromium=156.0.8078.114-1~deb13u1 firefox-esr=153.8.0esr-1~deb13u1 python3-aioquic=1.2.0-1

cat >measure.py <<'PY'
import sys
import wt_peer

SCRIPT = "return { outcome: (await attempt('/a')).outcome };"
for name, extensions in (("with", True), ("without", False)):
    print(name, wt_peer.visit(sys.argv[1], SCRIPT, extensions)[1].get("outcome"))
PY
python3 measure.py chromium >out
expect "Chromium, a certificate with a name in an extension" "$(value with)" opened
expect "Chromium, one without any extension" "$(value without)" refused
python3 measure.py firefox >out
expect "Firefox, with" "$(value with)" opened
expect "Firefox, without" "$(value without)" opened
finish
