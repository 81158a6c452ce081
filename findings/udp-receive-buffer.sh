#!/usr/bin/env bash
# Guess: the default receive buffer of 208 KiB holds 208 KiB of datagrams: 10,000 of 20 bytes, 330 of 642.
# Seen: what is counted is the kernel's memory for each, so small ones cost as much as large ones: 256 of 20 bytes, 166 of 642, 92 of
#       1200. Of 50 packets a second from each talker that is a tenth of a second of 33 talkers.
# mynah: asks for a much larger one (SO_RCVBUFFORCE), and counts what the kernel dropped.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs python3=3.13.5-1

cat >measure.py <<'PY'
import socket

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (20, 642, 1200):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 106496)  # what Linux starts with, which it doubles
    receiver.setblocking(False)
    for _ in range(2000):
        sender.sendto(b"x" * size, receiver.getsockname())
    count = 0
    try:
        while receiver.recv(2000):
            count += 1
    except BlockingIOError:
        pass
    print(f"of_{size}", count)
    print("buffer", receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
PY
python3 measure.py >out
echo "   kernel $(uname -r)"
expect "the buffer" "$(value buffer)" 212992
between "datagrams of 20 bytes in it" "$(value of_20)" 150 400
between "of 642" "$(value of_642)" 100 250
between "of 1200" "$(value of_1200)" 60 150
finish
