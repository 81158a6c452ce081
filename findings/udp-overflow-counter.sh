#!/usr/bin/env bash
# Guess: SO_RXQ_OVFL tells with each datagram how many were dropped before it was read.
# Seen: the number is the one of the time when the datagram came into the queue: after an overflow all that waited say "none", and
#       the loss shows with the next datagram that comes, however much later. Before the first drop there is no number at all.
# mynah: shows the counter in its metrics, as a number that may be late, and steers nothing by it.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs python3=3.13.5-1

cat >measure.py <<'PY'
import socket
import struct

SO_RXQ_OVFL = 40
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
receiver.setblocking(False)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def drain():
    """What each datagram that waits tells."""
    told = []
    try:
        while True:
            control = receiver.recvmsg(2000, 100)[1]
            told.append(next((struct.unpack("I", data)[0] for _, kind, data in control if kind == SO_RXQ_OVFL), None))
    except BlockingIOError:
        return told

for _ in range(50):
    sender.sendto(b"x" * 100, receiver.getsockname())
told = drain()
print("came", len(told))
print("told", sum(n is not None for n in told))
sender.sendto(b"x", receiver.getsockname())
print("later", drain()[0])
PY
python3 measure.py >out
echo "   kernel $(uname -r)"
between "of 50 datagrams came" "$(value came)" 2 45
expect "of these, with a number" "$(value told)" 0
expect "the next one says" "$(value later)" $((50 - $(value came)))
finish
