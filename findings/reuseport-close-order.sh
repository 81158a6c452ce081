#!/usr/bin/env bash
# Guess: a classic BPF program on an SO_REUSEPORT group chooses sockets by the order in which they were bound, and what is left keeps
#       its number, or moves up, when one is closed.
# Seen: closing one puts the *last* of the group into its place; a number beyond the group is no loss: the hash decides.
# mynah: keeps one socket for each shard for as long as it runs: the first byte of a connection id is the number of its shard.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs python3=3.13.5-1

cat >measure.py <<'PY'
import ctypes
import socket
import struct

SO_ATTACH_REUSEPORT_CBPF = 51
sockets, port = [], 0
for _ in range(4):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", port))
    s.setblocking(False)
    port = s.getsockname()[1]
    sockets.append(s)
program = ctypes.create_string_buffer(struct.pack("HBBIHBBI", 0x30, 0, 0, 0, 0x16, 0, 0, 0))  # A = payload[0]; return A
sockets[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, struct.pack("HxxxxxxP", 2, ctypes.addressof(program)))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def receiver_of(byte):
    sender.sendto(bytes([byte]), ("127.0.0.1", port))
    for number, s in enumerate(sockets):
        try:
            if s.fileno() >= 0 and s.recv(10):
                return number
        except BlockingIOError:
            pass
    return -1

print("before", *map(receiver_of, range(4)))
sockets[1].close()
print("after", *map(receiver_of, range(3)))
print("beyond", "somebody" if receiver_of(200) >= 0 else "nobody")
PY
python3 measure.py >out
echo "   kernel $(uname -r)"
expect "datagrams that ask for 0, 1, 2, 3 reach" "$(value before)" "0 1 2 3"
expect "once 1 is closed, those for 0, 1, 2 reach" "$(value after)" "0 3 2"
expect "one that asks for 200 reaches" "$(value beyond)" somebody
finish
