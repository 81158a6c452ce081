#!/usr/bin/env python3
"""A bridge worker on stdin and stdout that tells when it hears something and speaks when it is told to: measured_worker.py SOCKET.
Speaks with the test over a Unix socket of datagrams, in JSON; times are of the monotonic clock, which all processes share.

    it says   {"ready": time}, {"heard": time} when sound begins after silence, {"said": time}, {"event": {...}, "at": time}
    it is told  {"say": milliseconds, "hz": hertz}, {"flush": true}"""
import json
import math
import os
import socket
import struct
import sys
import threading
import time

AUDIO, HANGUP, FLUSH, EVENT, RATE, LOUD = 0x12, 0x00, 0x20, 0x22, 16000, 3000


def put(kind, payload):
    os.write(1, bytes([kind]) + len(payload).to_bytes(2, "big") + payload)


def say(milliseconds, hz):
    n = milliseconds * RATE // 1000
    pcm = [round(16000 * math.sin(2 * math.pi * hz * i / RATE)) for i in range(n)]
    for i in range(0, n, RATE):
        put(AUDIO, struct.pack(f"<{len(pcm[i:i + RATE])}h", *pcm[i:i + RATE]))


def run_commands(link):
    while True:
        command = json.loads(link.recv(4096))
        at = time.monotonic()
        if "flush" in command:
            put(FLUSH, b"")
            continue
        say(command["say"], command["hz"])
        link.send(json.dumps({"said": at}).encode())


def main():
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.connect(sys.argv[1])
    stream, quiet = sys.stdin.buffer, True
    put(EVENT, b'{"type":"ready"}')
    link.send(json.dumps({"ready": time.monotonic()}).encode())
    threading.Thread(target=run_commands, args=(link,), daemon=True).start()
    while len(head := stream.read(3)) == 3 and head[0] != HANGUP:
        payload = stream.read(int.from_bytes(head[1:], "big"))
        at = time.monotonic()
        if head[0] == AUDIO:
            loud = max(struct.unpack(f"<{len(payload) // 2}h", payload)) > LOUD
            if loud and quiet:
                link.send(json.dumps({"heard": at}).encode())
            quiet = not loud
        elif head[0] == EVENT:
            link.send(json.dumps({"event": json.loads(payload), "at": at}).encode())


try:
    main()
except (BrokenPipeError, ConnectionError):
    pass
