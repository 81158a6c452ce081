#!/usr/bin/env python3
"""Two people who talk to each other with v1 frames while somebody else misbehaves: neighbours.py PORT. In a process of their
own, so that their clock does not suffer. For each line on stdin one on stdout: "report" answers what each of them received
since the report before; "end" leaves.

missing: numbers that never came. jumps: media time that does not go on where the frame before ended, in the middle of speech.
begins: that speech was broken off and began anew."""
import asyncio
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from voice import session, tones  # noqa: E402


class Server:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0


SOUND = tones(16000, (440, -12))


async def talk_on(peer):
    loop = asyncio.get_running_loop()
    t0, i = loop.time(), 0
    while True:
        peer.send_v1(SOUND(i * 320, 320), i, i * 320)
        i += 1
        await asyncio.sleep(max(0, t0 + i * 0.02 - loop.time()))


class Listener:
    def __init__(self, peer):
        self.peer = peer
        self.last = None

    def report(self):
        frames, self.peer.numbered = self.peer.numbered, []
        answer = {"frames": len(frames), "missing": 0, "jumps": 0, "begins": 0, "seconds": 0}
        if frames:
            answer["seconds"] = frames[-1].at - frames[0].at
        for f in frames:
            if self.last:
                answer["missing"] += (f.sequence - self.last.sequence - 1) & 0xFFFF
                gap = (f.time - self.last.time - len(self.last.samples)) & 0xFFFFFFFF
                answer["begins"] += f.begins
                answer["jumps"] += gap != 0 and not f.begins
            self.last = f
        return answer


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with session(Server, room="the call", name="Ann", frames="v1") as a, \
            session(Server, room="the call", name="Bob", frames="v1") as b:
        talking = [asyncio.create_task(talk_on(p)) for p in (a, b)]
        listeners = [Listener(p) for p in (a, b)]
        for p in a, b:
            await p.until(lambda: len(p.numbered) > 25, 10, "frames")
        while (line := (await reader.readline()).strip()) and line != b"end":
            print(json.dumps([listener.report() for listener in listeners]), flush=True)
        for task in talking:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
