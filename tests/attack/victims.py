#!/usr/bin/env python3
"""The victims of an attack, in a process of their own so that their clock does not suffer: victims.py PORT. Ann and Bob talk to
each other in the room "the call", and Ann writes four lines a second. For each line on stdin one of JSON on stdout:

report   what was lost since the report before: of frames (see ../peers/neighbours.py), and of lines
join     how long a newcomer took to be welcome in another room, in milliseconds
end      they leave"""
import asyncio
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "peers"), str(HERE)]
from kit import ROOM  # noqa: E402
from neighbours import Listener, Server, talk_on  # noqa: E402
from voice import session  # noqa: E402


class Chat:
    """Lines from one to the other, numbered."""

    def __init__(self, writer, reader):
        self.writer, self.reader = writer, reader
        self.written = self.judged = 0
        self.seen = set()

    async def go_on(self):
        while True:
            self.write()
            await asyncio.sleep(0.25)

    def write(self):
        self.writer.say("message", text=f"line {self.written}")
        self.written += 1

    def arrived(self):
        self.seen |= {line["text"] for line in self.reader.lines if line["type"] == "message"}
        self.reader.lines.clear()
        self.writer.lines.clear()
        return self.seen

    async def report(self):
        """What was lost; whose control stream ended is named, and given another."""
        self.write()
        first, self.judged = self.judged, self.written
        wanted = {f"line {i}" for i in range(first, self.judged)}
        end = asyncio.get_running_loop().time() + 3
        while wanted - self.arrived() and not self.cut() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        lost, cut = len(wanted - self.arrived()), self.cut()
        for peer in cut:
            await peer.open_control()
        self.seen -= wanted
        return {"lines_lost": lost, "streams_lost": len(cut)}

    def cut(self):
        return [p for p in (self.writer, self.reader) if p.control in p.resets]


async def join(n):
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        async with asyncio.timeout(10):
            async with session(Server, room=f"door {n}"):
                return {"join_ms": round((loop.time() - start) * 1000)}
    except (AssertionError, ConnectionError, TimeoutError) as error:
        return {"join_ms": None, "why": str(error).split(";")[0] or type(error).__name__}


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with session(Server, room=ROOM, name="Ann", frames="v1") as a, session(Server, room=ROOM, name="Bob", frames="v1") as b:
        chat = Chat(a, b)
        tasks = [asyncio.create_task(t) for t in (talk_on(a), talk_on(b), chat.go_on())]
        listeners = [Listener(p) for p in (a, b)]
        for p in a, b:
            await p.until(lambda: len(p.numbered) > 25, 10, "frames")
        n = 0
        while (line := (await reader.readline()).strip()) and line != b"end":
            if line == b"join":
                answer = await join(n := n + 1)
            else:
                answer = {**await chat.report(), "listeners": [listener.report() for listener in listeners]}
                if any(t.done() for t in tasks) or a.terminated or b.terminated:
                    answer["ended"] = str(a.terminated or b.terminated or "a task of the victims'")
            print(json.dumps(answer), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
