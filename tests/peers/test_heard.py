#!/usr/bin/env python3
"""A worker of each kind takes its speech back in the middle: it learns what the ear has heard of it, by the reports of a client
that plays some time behind, or what was sent to one that reports nothing. In its own words, or by its marks."""
import asyncio
import contextlib
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from measured import Child, Measured, Model, sine  # noqa: E402
from mynahd import Mynahd  # noqa: E402
from test_websocket_workers import Jambonz, Twilio, Vonage, bots  # noqa: E402
from voice import session, tones  # noqa: E402
from voice_case import VoiceCase  # noqa: E402

PRIVATE = '[private]\nbridge = "ai"\n'
BEHIND_MS, RATE = 300, 16000
FLUSH, MARK, EVENT, AUDIO, UUID, HANGUP = b"\x20", b"\x21", b"\x22", b"\x12", 0x01, 0x00


class Ear:
    """A client that plays BEHIND_MS after it has received, and says so if it `reports`."""

    def __init__(self, p, v1, reports):
        self.p, self.v1, self.behind_ms = p, v1, BEHIND_MS if reports else 0
        self.task = asyncio.ensure_future(self.report()) if reports else None

    def received(self):
        frames = self.p.numbered if self.v1 else self.p.frames
        return sum(len(f.samples) for f in frames if not self.v1 or f.epoch == 0)

    async def report(self):
        while not [line for line in self.p.lines if line["type"] == "flush"]:
            n = self.received() - self.behind_ms * RATE // 1000
            if n >= 0:
                self.p.say("played", epoch=0, samples=n)
            await asyncio.sleep(0.02)

    async def hears(self, ms):
        await self.p.until(lambda: self.received() >= ms * RATE // 1000, 10, "the speech")

    def heard_ms(self):
        return self.received() * 1000 / RATE - self.behind_ms


class Socket(Measured):
    """A server for AudioSocket, with mynah's extension."""
    name = "audiosocket"

    async def __aenter__(self):
        self.marks, self.marks_at_flush = [], 0
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.config = f'[bridge.ai]\ntype = "audiosocket"\naddress = "tcp://127.0.0.1:{port}"\n{self.more}\n'
        return self

    async def __aexit__(self, *exc):
        self.server.close()

    def put(self, kind, payload=b""):
        self.writer.write(kind + len(payload).to_bytes(2, "big") + payload)

    async def serve(self, reader, writer):
        self.writer = writer
        self.put(EVENT, b'{"type":"ready"}')
        self.there.set()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (head := await reader.readexactly(3))[0] != HANGUP:
                payload = await reader.readexactly(int.from_bytes(head[1:], "big"))
                if head[:1] == EVENT:
                    self.events.append(json.loads(payload))
                elif head[:1] == MARK:
                    self.marks.append(int(payload))
        self.there.clear()
        writer.close()

    async def say(self, milliseconds, hz):
        pcm = sine(hz, 40).tobytes()
        for ms in range(40, milliseconds + 1, 40):
            self.put(AUDIO, pcm)
            self.put(MARK, str(ms).encode())

    async def flush(self):
        self.marks_at_flush = len(self.marks)
        self.put(FLUSH)
        self.put(FLUSH)

    async def told_ms(self, p):
        await p.until(lambda: [e for e in self.events if e["type"] == "interrupted"], 5, "interrupted")
        return [e["heard_ms"] for e in self.events if e["type"] == "interrupted"]


class Process(Child):
    async def flush(self):
        for _ in range(2):
            self.link.send(b'{"flush": true}')

    told_ms = Socket.told_ms


class Provider(Model):
    """It detects turns itself: the default."""

    async def flush(self):
        for _ in range(2):
            await self.session.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="x")

    async def told_ms(self, p):
        await self.session.expect("conversation.item.truncate")
        return [e["audio_end_ms"] for e in self.session.got("conversation.item.truncate")]


WAYS = [(v1, reports) for v1 in (False, True) for reports in (False, True)]


class Heard(VoiceCase):
    def one_flush(self, p):
        self.assertEqual([line["epoch"] for line in p.lines if line["type"] == "flush"], [1])

    async def told_what_was_heard(self, kind):
        async def attempt(v1, reports):
            ai.events.clear()
            async with session(server, frames="v1" if v1 else None) as p:
                await asyncio.wait_for(ai.there.wait(), 10)
                ear = Ear(p, v1, reports)
                await ai.say(3000, 600)
                await ear.hears(1000)
                await ai.flush()
                await p.expect("flush", epoch=1)
                told = await ai.told_ms(p)
                self.figure(f"{kind.name}, v1 {v1}, reports {reports}: told {told}, heard {ear.heard_ms():.0f}")
                self.assertEqual(len(told), 1)
                self.assertAlmostEqual(told[0], ear.heard_ms(), delta=40)
                if reports and kind is Socket:
                    self.assertAlmostEqual(ai.marks[ai.marks_at_flush - 1], ear.heard_ms(), delta=80)
                    self.assertEqual(ai.marks_at_flush, len(ai.marks))  # those of what is dropped do not come
                await p.settled()
                self.one_flush(p)
            await ai.gone()

        async with kind('barge_in = "worker"') as ai:
            with Mynahd(PRIVATE + ai.config, env=ai.env) as server:
                for way in WAYS:
                    await self.again(lambda way=way: attempt(*way))

    async def test_a_process(self):
        await self.told_what_was_heard(Process)

    async def test_a_server_for_audiosocket(self):
        await self.told_what_was_heard(Socket)

    async def test_a_provider_that_detects_turns(self):
        await self.told_what_was_heard(Provider)


class Marks(VoiceCase):
    """Of 50, one each 40 ms: those of what was heard have come when the bot clears. Then the others, if the platform sends them."""

    one_flush = Heard.one_flush

    async def marks_tell(self, kind, rate, heard, cleared):
        seen = {}

        async def script(bot):
            for i in range(50):
                await bot.say(tones(rate, (600, -20))(i * rate // 25, rate // 25))
                await bot.mark(f"m{i}")
            await seen["clear"].wait()
            seen["before"] = [t for t in bot.texts if heard(t)]
            for _ in range(2):
                await bot.clear()
            await asyncio.sleep(0.3)
            seen["after"] = [t for t in bot.texts if cleared(t)]
            seen["done"].set()

        async def attempt(v1, reports):
            seen.update(clear=asyncio.Event(), done=asyncio.Event())
            async with session(server, frames="v1" if v1 else None) as p:
                ear = Ear(p, v1, reports)
                await ear.hears(1000)
                seen["clear"].set()
                await asyncio.wait_for(seen["done"].wait(), 10)
                self.figure(f"{kind.framing}, v1 {v1}, reports {reports}: {len(seen['before'])} marks, heard {ear.heard_ms():.0f} ms, "
                            f"{len(seen['after'])} after it")
                self.assertAlmostEqual(len(seen["before"]) * 40, ear.heard_ms(), delta=120)
                self.assertEqual(len(seen["after"]), {Jambonz: 50 - len(seen["before"]), Vonage: 2, Twilio: 50}[kind])
                self.one_flush(p)

        async with bots(kind, rate, script) as (port, _):
            with Mynahd(PRIVATE + f'[bridge.ai]\ntype = "websocket"\nurl = "ws://127.0.0.1:{port}/"\nframing = "{kind.framing}"\n') as server:
                for way in WAYS:
                    await self.again(lambda way=way: attempt(*way))

    async def test_jambonz(self):
        def event(word):
            return lambda t: t.get("data", {}).get("event") == word
        await self.marks_tell(Jambonz, 16000, event("playout"), event("cleared"))

    async def test_vonage(self):
        await self.marks_tell(Vonage, 16000, lambda t: t["event"] == "websocket:notify", lambda t: t["event"] == "websocket:cleared")

    async def test_twilio(self):
        def mark(t):
            return t["event"] == "mark"
        await self.marks_tell(Twilio, 8000, mark, mark)


if __name__ == "__main__":
    unittest.main()
