#!/usr/bin/env python3
"""Two people who talk to each other while somebody else misbehaves: call.py PORT. In a process of their own, so
that their clock does not suffer. For each line on stdin one line on stdout: "report" answers what each of
them received since the report before, in frames; "end" leaves.

Frame i is a constant that names it, i modulo 128, so that a frame that is missing, repeated or concealed is seen."""
import asyncio
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from voice import session  # noqa: E402

N, FRAME = 128, 320


class Server:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0


def level(i):
    return 1000 + 100 * (i % N)


class Listener:
    def __init__(self, peer):
        self.peer = peer
        self.next = 0            # in peer.frames
        self.name = None         # of the frame that is being received
        self.run = 0             # samples of it so far
        self.whole = self.faults = 0
        self.seen = []           # what the faults were

    def take(self):
        frames, self.next = self.peer.frames[self.next:], len(self.peer.frames)
        for f in frames:
            names = np.round((f.samples.astype(int) - 1000) / 100).astype(int)
            cuts = np.flatnonzero(np.diff(names)) + 1
            for part in np.split(names, cuts):
                self.part(int(part[0]), len(part))

    def part(self, name, n):
        if name == self.name:
            self.run += n
            return
        if n < 6 and self.name is not None:  # the edge between two frames may be smoothed
            self.run += n
            return
        if self.name is not None:
            self.end_of_frame(name)
        self.name, self.run = name, n

    def end_of_frame(self, following):
        self.whole += 1
        # an edge moves where the server smoothed what came late; a tick more or less is a fault
        if following != (self.name + 1) % N or abs(self.run - FRAME) > FRAME / 3:
            self.faults += 1
            self.seen.append(f"{self.name} for {self.run}, then {following}")

    def report(self):
        self.take()
        answer = {"whole": self.whole, "faults": self.faults, "seen": self.seen[:5]}
        self.whole = self.faults = 0
        self.seen = []
        return answer


async def talk_on(peer):
    loop = asyncio.get_running_loop()
    t0, i = loop.time(), 0
    while True:
        peer.send_pcm(np.full(FRAME, level(i)))
        i += 1
        await asyncio.sleep(max(0, t0 + i * 0.02 - loop.time()))


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with session(Server, room="the call", name="Ann") as a, session(Server, room="the call", name="Bob") as b:
        talking = [asyncio.create_task(talk_on(p)) for p in (a, b)]
        listeners = [Listener(p) for p in (a, b)]
        while (line := (await reader.readline()).strip()) and line != b"end":
            for listener in listeners:  # something must have come since the last report
                n = len(listener.peer.frames)
                await listener.peer.until(lambda: len(listener.peer.frames) > n + 5, 10, "frames")
            stats = [await p.stats() for p in (a, b)]
            print(json.dumps([{**listener.report(), "concealed": s["concealed"]}
                              for listener, s in zip(listeners, stats)]), flush=True)
        for task in talking:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
