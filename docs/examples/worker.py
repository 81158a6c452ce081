#!/usr/bin/env python3
"""A bridge worker in thirty lines: says back what it hears, at half the level.

    [bridge.half]
    type = "process"
    command = ["python3", "/srv/worker.py"]

Records on stdin and stdout: u8 type, u16 big-endian length, payload. Audio is 16-bit little-endian mono; its type
tells the rate. Lines that you print to stderr go into the daemon's log."""
import array
import sys

HANGUP, FIRST_AUDIO, LAST_AUDIO = 0x00, 0x10, 0x16


def records(stream):
    while len(head := stream.read(3)) == 3:
        payload = stream.read(int.from_bytes(head[1:], "big"))
        if head[0] == HANGUP:
            return
        yield head[0], payload


def main():
    for kind, payload in records(sys.stdin.buffer):
        if FIRST_AUDIO <= kind <= LAST_AUDIO:
            pcm = array.array("h", payload)  # on a little-endian machine
            half = array.array("h", (sample // 2 for sample in pcm)).tobytes()
            sys.stdout.buffer.write(bytes([kind]) + len(half).to_bytes(2, "big") + half)
            sys.stdout.buffer.flush()


main()
