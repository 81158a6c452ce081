#!/usr/bin/env bash
# Guess: `setcap cap_net_bind_service=ep` on a program differs from systemd's AmbientCapabilities= only in who asks for it.
# Seen: the kernel marks a program with file capabilities as "secure": the loader drops GLIBC_TUNABLES, LD_LIBRARY_PATH, TMPDIR and others from its
#       environment, and OpenSSL does not look at SSL_CERT_FILE, which is still there. Nothing says so.
# mynah: its unit names AmbientCapabilities= as the way to a port below 1024, never setcap.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs openssl=3.5.9-1~deb13u1 coreutils=9.7-3

[ "$(id -u)" = 0 ] || skip "only root can give capabilities"
chmod 755 .
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=localhost 2>/dev/null
chmod 644 c.pem
for program in env openssl; do
	cp "$(command -v $program)" $program.plain
	cp $program.plain $program.setcap
done
cat >measure.py <<'PY'
import os
import struct
import subprocess
import sys

ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1", "TMPDIR": "/var/tmp", "LD_LIBRARY_PATH": "/none", "SSL_CERT_FILE": os.path.abspath("c.pem")}
for program in "env", "openssl":  # what setcap(8) writes for cap_net_bind_service=ep
    os.setxattr(program + ".setcap", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))

def run(*command):
    """As an ordinary user."""
    return subprocess.run([os.path.abspath(command[0]), *command[1:]], env=ENVIRONMENT, user=65534, group=65534, capture_output=True, text=True)

for kind in "plain", "setcap":
    print(kind, *sorted(line.split("=")[0] for line in run("env." + kind).stdout.splitlines()))
    print("verify_" + kind, run("openssl." + kind, "verify", os.path.abspath("c.pem")).returncode)
PY
python3 measure.py >out || skip "no file capabilities on the file system of $PWD"
expect "environment of a plain program" "$(value plain)" "GLIBC_TUNABLES LD_LIBRARY_PATH SSL_CERT_FILE TMPDIR"
expect "   of one with a capability" "$(value setcap)" "SSL_CERT_FILE"
expect "openssl verify of the certificate in SSL_CERT_FILE" "$(value verify_plain)" 0
expect "   with a capability" "$(value verify_setcap)" 2
finish
