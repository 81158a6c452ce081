#!/usr/bin/env python3
"""mynahd with workers behind a WebSocket, made as bots for jambonz, Vonage and Twilio are made: the bot is strict about
what its platform may say, python3-websockets carries it, and a person on aioquic hears it."""
import asyncio
import base64
import contextlib
import json
import logging
import os
import pathlib
import socket
import ssl
import sys
import tempfile
import time
import unittest

import numpy as np
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd  # noqa: E402
from voice import fit, quality, session, silence, talk, tones  # noqa: E402
from voice_case import PATIENT, Certificate, VoiceCase  # noqa: E402

logging.getLogger("websockets").setLevel(logging.CRITICAL)  # of calls that end in the middle of things

SUBPROTOCOLS = ["audio.jambonz.org", "audio.drachtio.org"]


def ulaw_table():
    v = ~np.arange(256) & 0xFF
    x = ((((v & 15) << 3) + 132) << (v >> 4 & 7)) - 132
    return np.where(v & 0x80, -x, x).astype("<i2")


ULAW = ulaw_table()


def to_ulaw(pcm):
    """By the table: slow, and nobody's code but G.711's."""
    order = np.argsort(ULAW.astype(int), kind="stable")
    at = np.searchsorted(ULAW[order].astype(int), pcm.astype(int)).clip(1, 255)
    low, high = order[at - 1], order[at]
    nearer = abs(pcm.astype(int) - ULAW[low]) <= abs(ULAW[high].astype(int) - pcm)
    return np.where(nearer, low, high).astype("u1").tobytes()


class Bot:
    """One call: what the platform said, checked while it comes. The script is what the bot does."""

    def __init__(self, ws, rate):
        self.ws = ws
        self.rate = rate
        self.headers = ws.request.headers
        self.texts = []          # JSON, except sound
        self.samples = []        # of what is heard
        self.times = []          # when each text came
        self.begun = asyncio.Event()
        self.ended = None
        self._change = asyncio.Event()

    async def attend(self, script):
        """The script goes on from the beginning of the call to its end."""
        acting = asyncio.ensure_future(self.act(script)) if script else None
        try:
            await self.listen()
        finally:
            if acting and not acting.done():
                acting.cancel()
        if acting and not acting.cancelled():
            await asyncio.wait([acting])
            if not acting.cancelled():
                acting.result()

    async def act(self, script):
        await self.begun.wait()
        await script(self)

    async def listen(self):
        """Until the call ends."""
        try:
            async for message in self.ws:
                sound = self.take(message)
                if sound is not None:
                    self.samples.append(sound)
                    await self.on_sound(sound)
                self._change.set()
        except ConnectionClosed:
            pass
        self.ended = (self.ws.close_code, self.ws.close_reason)
        self._change.set()

    async def on_sound(self, sound):
        pass

    def text(self, message):
        self.texts.append(message)
        self.times.append(time.monotonic())
        return None

    async def until(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            self._change.clear()
            try:
                await asyncio.wait_for(self._change.wait(), max(0, end - time.monotonic()))
            except asyncio.TimeoutError:
                raise AssertionError(f"not within {seconds} s; heard {self.texts}") from None

    async def expect(self, seconds=10, **fields):
        """The first text with these fields, and when it came."""
        def found():
            return next((i for i, t in enumerate(self.texts) if all(t.get(k) == v for k, v in fields.items())), None)
        await self.until(lambda: found() is not None, seconds)
        return self.texts[found()], self.times[found()]

    def heard(self):
        return np.concatenate(self.samples) if self.samples else np.zeros(0, "<i2")


class Binary(Bot):
    def take(self, message):
        if isinstance(message, str):
            return self.text(self.check(json.loads(message)))
        assert self.texts, "sound before the first text"
        assert len(message) == self.rate // 50 * 2, f"{len(message)} bytes are not 20 ms"
        return np.frombuffer(message, "<i2")

    async def say(self, pcm):
        await self.ws.send(np.asarray(pcm, "<i2").tobytes())


class Jambonz(Binary):
    framing = "jambonz"

    def check(self, message):
        if not self.texts:
            assert message["callSid"] and message["direction"] in ("inbound", "outbound"), message
            assert message["sampleRate"] == self.rate and message["mixType"] == "mono", message
            self.begun.set()
        else:
            assert message["type"] == "mark" and set(message["data"]) == {"name", "event"}, message
            assert message["data"]["event"] in ("playout", "cleared"), message
        return message

    async def mark(self, name):
        await self.ws.send(json.dumps({"type": "mark", "data": {"name": name}}))

    async def clear(self):
        await self.ws.send('{"type": "killAudio"}')

    async def marked(self, name, cleared=False, seconds=10):
        return (await self.expect(seconds, type="mark", data={"name": name, "event": "cleared" if cleared else "playout"}))[1]


class Vonage(Binary):
    framing = "vonage"

    def check(self, message):
        if not self.texts:
            assert message["event"] == "websocket:connected", message
            assert message["content-type"] == f"audio/l16;rate={self.rate}", message
            self.begun.set()
        else:
            assert message["event"] in ("websocket:cleared", "websocket:notify"), message
        return message

    async def mark(self, name):
        await self.ws.send(json.dumps({"action": "notify", "payload": {"mark": name, "more": [1, None, "\u00e4\""]}}))

    async def clear(self):
        await self.ws.send('{"action": "clear"}')

    async def marked(self, name, cleared=False, seconds=10):
        if cleared:
            return (await self.expect(seconds, event="websocket:cleared"))[1]
        return (await self.expect(seconds, event="websocket:notify", payload={"mark": name, "more": [1, None, "\u00e4\""]}))[1]


class Twilio(Bot):
    framing = "twilio"
    chunk = sequence = 0
    sid = call = None

    def take(self, message):
        assert isinstance(message, str), "Twilio sends text only"
        message = json.loads(message)
        if not self.texts:
            assert message == {"event": "connected", "protocol": "Call", "version": "1.0.0"}, message
            return self.text(message)
        self.sequence += 1
        assert message["sequenceNumber"] == str(self.sequence), message
        if message["event"] == "start":
            start = message["start"]
            self.sid, self.call = start["streamSid"], start["callSid"]
            assert self.sequence == 1 and self.sid[:2] == "MZ" and self.call[:2] == "CA" and len(self.sid) == 34, message
            assert start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}, message
            assert start["tracks"] == ["inbound"] and start["customParameters"] == {}, message
            self.begun.set()
        assert message["streamSid"] == self.sid, message
        if message["event"] == "media":
            media = message["media"]
            assert media["track"] == "inbound" and media["timestamp"] == str(self.chunk * 20), media
            self.chunk += 1
            assert media["chunk"] == str(self.chunk), media
            sound = base64.b64decode(media["payload"], validate=True)
            assert len(sound) == 160, len(sound)
            return ULAW[np.frombuffer(sound, "u1")]
        assert message["event"] in ("start", "mark", "stop"), message
        return self.text(message)

    async def send(self, event, **fields):
        await self.ws.send(json.dumps({"event": event, "streamSid": self.sid, **fields}))

    async def say(self, pcm):
        await self.send("media", media={"payload": base64.b64encode(to_ulaw(np.asarray(pcm))).decode()})

    async def mark(self, name):
        await self.send("mark", mark={"name": name})

    async def clear(self):
        await self.send("clear")

    async def marked(self, name, cleared=False, seconds=10):
        return (await self.expect(seconds, event="mark", mark={"name": name}))[1]


@contextlib.asynccontextmanager
async def bots(kind, rate, script, subprotocols=None, sock=None, tls=None, **options):
    """A server of bots; yields its port and the list of calls, which grows."""
    calls, faults = [], []

    async def handler(ws):
        bot = kind(ws, rate)
        calls.append(bot)
        try:
            await bot.attend(script)
        except ConnectionClosed:
            pass
        except AssertionError as e:
            faults.append(e)
            raise

    where = {"sock": sock} if sock else {"host": "127.0.0.1", "port": 0}
    async with serve(handler, **where, subprotocols=subprotocols, ssl=tls, compression=None, **options) as server:
        yield server.sockets[0].getsockname()[1], calls
    if faults:
        raise faults[0]


class Echo:
    """Repeats what it hears 250 ms later, so that a bot which is late by less than that makes no gap."""

    async def on_sound(self, sound):
        if len(self.samples) == 1:
            await self.say(np.zeros(self.rate // 4, "<i2"))
        await self.say(sound)


def echoing(kind):
    return type("Echoing" + kind.__name__, (Echo, kind), {})


async def down(p, start=0):
    """Why the bot is not there."""
    while (line := await p.expect("bridge", start=start))["up"]:
        start = p.lines.index(line, start) + 1
    return line["text"]


async def hears(p, seconds, within=15):
    """Waits until a person has heard that much."""
    end = time.monotonic() + within
    while sum(len(f.samples) / f.rate for f in p.frames) < seconds:
        if time.monotonic() > end:
            raise AssertionError(f"heard {len(p.heard())} samples only")
        await asyncio.sleep(0.05)


def config(port, kind, rate=0, room=16000, scheme="ws", host="127.0.0.1", path="/bot", more=""):
    return (PATIENT + f'[private]\nbridge = "bot"\nsample_rate = {room}\n[bridge.bot]\ntype = "websocket"\nbarge_in = "off"\n'
            f'url = "{scheme}://{host}:{port}{path}"\nframing = "{kind.framing}"\nsample_rate = {rate}\n{more}')


class Sound(VoiceCase):
    async def echo_is_clean(self, kind, rate, room, snr=60, worst=40, **options):
        async def attempt():
            async with session(server, rate=room) as p:
                await talk(p, tones(room, (997, -14)), 2.5, rate=room, frame_ms=10 if room > 24000 else 20)
                await hears(p, 2.4)
                heard = p.heard()[room * 5 // 4:room * 9 // 4]
                levels, median, least = quality(heard, room, 997)
                self.figure(f"{kind.framing} at {rate} Hz in a room of {room}: {median:.0f} dB, worst {least:.0f}")
                self.assertAlmostEqual(levels[0], -14, delta=0.5)
                self.assertGreater(median, snr)
                self.assertGreater(least, worst)

        async with bots(echoing(kind), rate, None, **options) as (port, calls):
            with Mynahd(config(port, kind, room=room)) as server:
                await self.again(attempt)
        return calls

    async def test_jambonz_bots_at_the_rate_of_the_room(self):
        for i, rate in enumerate((8000, 16000, 24000, 48000)):
            name = SUBPROTOCOLS[i % 2]
            calls = await self.echo_is_clean(Jambonz, rate, rate, subprotocols=[name])
            self.assertEqual(calls[0].ws.subprotocol, name)
            self.assertEqual(calls[0].headers["Sec-WebSocket-Protocol"], ", ".join(SUBPROTOCOLS))

    async def test_vonage_bots_and_the_nearest_rate_they_know(self):
        await self.echo_is_clean(Vonage, 24000, 24000)
        await self.echo_is_clean(Vonage, 16000, 48000)

    async def test_twilio_bots(self):
        await self.echo_is_clean(Twilio, 8000, 16000, snr=30, worst=25)
        await self.echo_is_clean(Twilio, 8000, 8000, snr=30, worst=25)

    async def test_sound_in_messages_of_any_length(self):
        """Half samples, many frames at once, nothing at all."""
        async def script(bot):
            data = tones(16000, (700, -14))(0, 32000).tobytes()
            cuts = [0, 1, 4, 4, 7, 1000, 20001, 20002, 50001, len(data)]
            for a, b in zip(cuts, cuts[1:]):
                await bot.ws.send(data[a:b])

        async def attempt():
            async with session(server) as p:
                await hears(p, 2)
                levels, median, worst = quality(p.heard()[1600:30000], 16000, 700)
                self.assertAlmostEqual(levels[0], -14, delta=0.5)
                self.assertGreater(worst, 40)

        async with bots(Jambonz, 16000, script) as (port, _):
            with Mynahd(config(port, Jambonz)) as server:
                await self.again(attempt)


class Example(VoiceCase):
    async def test_the_worker_of_the_documentation(self):
        worker = await asyncio.create_subprocess_exec(
            "node", str(pathlib.Path(__file__).resolve().parents[2] / "docs/examples/worker-websocket.mjs"), "0",
            stdout=asyncio.subprocess.PIPE)
        try:
            port = int((await worker.stdout.readline()).split()[-1])

            async def attempt():
                async with session(server) as p:
                    await talk(p, tones(16000, (997, -14)), 2.5)
                    await hears(p, 2.4)
                    levels, median, worst = quality(p.heard()[20000:36000], 16000, 997)
                    self.assertAlmostEqual(levels[0], -20, delta=0.5)
                    self.assertGreater(worst, 40)

            with Mynahd(config(port, Jambonz)) as server:
                await self.again(attempt)
        finally:
            worker.kill()
            await worker.wait()


class Marks(VoiceCase):
    async def marks_come_when_it_was_heard(self, kind, rate):
        times = {}

        async def script(bot):
            sound = tones(rate, (600, -20))
            start = time.monotonic()
            await bot.mark("zero")
            await bot.say(sound(0, rate))
            await bot.mark("one")
            await bot.say(sound(rate, rate // 2))
            await bot.mark("two \u00fc \"quoted\"")
            for name in "zero", "one", "two \u00fc \"quoted\"":
                times[name[:4].strip()] = await bot.marked(name) - start

        async def attempt():
            async with session(server) as p:
                await hears(p, 1.5)
                await asyncio.sleep(0.5)
                self.assertLess(times["zero"], 0.7)
                self.assertTrue(0.95 < times["one"] < 1.6, times)
                self.assertTrue(1.45 < times["two"] < 2.1, times)

        async with bots(kind, rate, script) as (port, _):
            with Mynahd(config(port, kind)) as server:
                await self.again(attempt)

    async def test_jambonz(self):
        await self.marks_come_when_it_was_heard(Jambonz, 16000)

    async def test_vonage(self):
        await self.marks_come_when_it_was_heard(Vonage, 16000)

    async def test_twilio(self):
        await self.marks_come_when_it_was_heard(Twilio, 8000)

    async def clearing_stops_the_sound(self, kind, rate):
        seen = {}

        async def script(bot):
            await bot.say(tones(rate, (600, -20))(0, rate * 10))
            await bot.mark("never")
            await asyncio.sleep(0.6)
            await bot.clear()
            start = time.monotonic()
            seen["cleared"] = await bot.marked("never", cleared=True) - start
            await bot.say(tones(rate, (1500, -20))(0, rate // 2))
            await bot.mark("after")
            seen["after"] = await bot.marked("after") - start

        async def attempt():
            async with session(server) as p:
                await hears(p, 0.9)
                await asyncio.sleep(1)
                heard = p.heard()
                loud = [fit(b, 16000, 600, 1500)[0] for b in np.array_split(heard, max(1, len(heard) // 320))]
                first = 0.02 * sum(a > -26 for a, _ in loud)
                second = 0.02 * sum(b > -26 for _, b in loud)
                self.assertTrue(0.3 < first < 1.5, first)
                self.assertTrue(0.4 < second < 0.6, second)
                self.assertLess(seen["cleared"], 0.3)
                self.assertTrue(0.45 < seen["after"] < 1.1, seen)

        async with bots(kind, rate, script) as (port, calls):
            with Mynahd(config(port, kind)) as server:
                await self.again(attempt)

    async def test_jambonz_clears(self):
        await self.clearing_stops_the_sound(Jambonz, 16000)

    async def test_vonage_clears(self):
        await self.clearing_stops_the_sound(Vonage, 16000)

    async def test_twilio_clears(self):
        await self.clearing_stops_the_sound(Twilio, 8000)


class Life(VoiceCase):
    async def test_the_end_of_a_call(self):
        for kind, rate in (Jambonz, 16000), (Vonage, 16000), (Twilio, 8000):
            async with bots(kind, rate, None) as (port, calls):
                with Mynahd(config(port, kind)) as server:
                    async with session(server) as p:
                        await talk(p, silence, 0.3)
                    await calls[0].until(lambda: calls[0].ended)
                self.assertEqual(calls[0].ended[0], 1000)
                self.assertEqual(len(calls), 1)
                if kind is Twilio:
                    self.assertEqual(calls[0].texts[-1]["event"], "stop")
                    self.assertEqual(calls[0].texts[-1]["stop"]["callSid"], calls[0].call)

    async def test_silence_is_sound_too(self):
        """Nobody says anything: the bot hears that, in real time."""
        async with bots(Jambonz, 16000, None) as (port, calls):
            with Mynahd(config(port, Jambonz)) as server:
                async with session(server):
                    await asyncio.sleep(2)
                    self.assertTrue(1.5 < len(calls[0].heard()) / 16000 < 2.5)
                    self.assertFalse(np.any(calls[0].heard()))

    async def goodbye_is_for_good(self, kind, rate, leave, why):
        """Until somebody joins, or there is another call. What the bot says at last is heard."""
        async def script(bot):
            if len(calls) > 1:
                return
            await bot.say(tones(rate, (600, -14))(0, rate))
            await leave(bot)

        async def attempt():
            calls.clear()
            async with session(server, room="all") as p:
                self.assertIn(why, await down(p))
                await talk(p, silence, 2)
                self.assertEqual(len(calls), 1)
                self.assertEqual(len([line for line in p.lines if line["type"] == "bridge"]), 1)
                self.assertGreater(sum(len(f.samples) / f.rate for f in p.frames), 0.95)
                async with session(server, room="all"):
                    await p.expect("bridge", up=True)
                    self.assertEqual(len(calls), 2)
            async with session(server, room="all"):
                end = time.monotonic() + 10
                while len(calls) < 3 and time.monotonic() < end:
                    await asyncio.sleep(0.02)
                self.assertEqual(len(calls), 3)

        async with bots(kind, rate, script) as (port, calls):
            with Mynahd(config(port, kind) + '[[room]]\nname = "*"\nbridge = "bot"\n') as server:
                await self.again(attempt)
                self.assertEqual(server.metrics()["mynah_bridge_failures_total"], 0)

    async def test_disconnect_is_for_good(self):
        async def leave(bot):
            await bot.ws.send('{"type": "disconnect"}')
        await self.goodbye_is_for_good(Jambonz, 16000, leave, "it asked for the end of the call")

    async def test_a_clean_close_is_for_good(self):
        async def leave(bot):
            await bot.ws.close()
        for kind, rate in (Twilio, 8000), (Vonage, 16000):
            await self.goodbye_is_for_good(kind, rate, leave, "code 1000")

    async def test_a_bot_that_stops_reading_is_given_up(self):
        """It goes on sending, so no ping finds out."""
        async def script(bot):
            bot.ws.transport.pause_reading()
            while bot.ws.state == 1:  # open
                await bot.say(np.zeros(480, "<i2"))
                await asyncio.sleep(0.02)

        async with bots(Jambonz, 48000, script) as (port, calls):
            with Mynahd(config(port, Jambonz, rate=48000, room=48000, more="stall_ms = 1000\n")) as server:
                async with session(server, rate=48000) as p:
                    end = time.monotonic() + 40
                    while not (lines := [line for line in p.lines if line["type"] == "bridge"]) and time.monotonic() < end:
                        await asyncio.sleep(0.1)
                    self.assertFalse(lines[0]["up"])
                    self.assertIn("it has taken nothing for 1 s", lines[0]["text"])
                    calls[0].ws.transport.abort()

    async def test_a_bot_that_goes_comes_back(self):
        async def script(bot):
            if len(calls) == 1:
                await bot.ws.close(1011, "I am broken")
            if len(calls) == 2:
                bot.ws.transport.abort()

        async with bots(Jambonz, 16000, script) as (port, calls):
            with Mynahd(config(port, Jambonz)) as server:
                async with session(server) as p:
                    end = time.monotonic() + 40
                    while len(told := [line for line in p.lines if line["type"] == "bridge"]) < 4 and time.monotonic() < end:
                        await asyncio.sleep(0.05)
                    self.assertEqual([line["up"] for line in told], [False, True, False, True])
                    await calls[-1].begun.wait()
                    reasons = [line["text"] for line in p.lines if line["type"] == "bridge" and not line["up"]]
                    self.assertIn("code 1011", reasons[0])
                    self.assertIn("connection lost", reasons[1])

    async def test_an_unreachable_bot_is_reported(self):
        refusing = socket.socket()
        refusing.bind(("127.0.0.1", 0))  # and does not listen

        async def reject(connection, request):
            return connection.respond(403, "go away\n")

        async def busy(connection, request):
            response = connection.respond(503, "later\n")
            response.headers["Retry-After"] = "7"
            return response

        async def reason(url_port, retry_ms=r"\d+", **options):
            with Mynahd(config(url_port, Jambonz, **options)) as server:
                async with session(server) as p:
                    why = await down(p)
                    server.wait_for_line(f"retry_ms={retry_ms}$")
                    self.assertNotIn("s3cret", server.log() + server.get("/metrics")[1] + str(p.lines))
                    return why

        self.assertRegex(await reason(refusing.getsockname()[1]), "127.0.0.1 port [0-9]+: connection refused")
        async with bots(Jambonz, 16000, None, process_request=reject) as (port, _):
            self.assertIn("answers 403 instead", await reason(port, 300000, path="/bot?secret=s3cret"))  # not soon again
        async with bots(Jambonz, 16000, None, process_request=busy) as (port, _):
            self.assertIn("answers 503 instead", await reason(port, 7000))
        refusing.close()

    async def test_nonsense_does_no_harm(self):
        async def script(bot):
            for text in ("", "{", "[]", "null", '{"type":7}', '{"type":"mark"}', '{"type":"mark","data":[]}', '{"action":"notify"}',
                         '{"event":"media","media":{"payload":"*"}}', '{"event":"mark"}', "[" * 60000, '"\\u0000"',
                         '{"event":"media","media":{"payload":"AAAA=AAA"}}', json.dumps({"type": "mark", "data": {"name": "x" * 9000}})):
                await bot.ws.send(text)
            for i in range(200):
                await bot.mark(f"m{i}")
            await bot.ws.send(b"\x01")
            await bot.ws.send(b"\x01")  # halves of one sample
            await bot.mark("last")
            await bot.say(tones(bot.rate, (600, -20))(0, bot.rate))

        for kind, rate in (Jambonz, 16000), (Vonage, 16000), (Twilio, 8000):
            async with bots(kind, rate, script) as (port, calls):
                with Mynahd(config(port, kind)) as server:
                    async with session(server) as p:
                        await hears(p, 0.9)
                        heard = np.trim_zeros(p.heard())
                        self.assertGreater(fit(heard[1600:12800], 16000, 600)[0][0], -22)
                        await calls[0].marked("m0")
                        self.assertEqual(len(calls), 1)
                        self.assertEqual(sum("(told once)" in line for line in server.lines), 1)

    async def test_a_message_that_is_too_long_ends_it(self):
        async def script(bot):
            if len(calls) == 1:
                await bot.ws.send(bytes(1 << 21))

        async with bots(Jambonz, 16000, script) as (port, calls):
            with Mynahd(config(port, Jambonz)) as server:
                async with session(server) as p:
                    self.assertIn("longer than 1048576 bytes", await down(p))
                    self.assertTrue((await p.expect("bridge", start=len(p.lines)))["up"])
                    await calls[0].until(lambda: calls[0].ended)
                    self.assertEqual(calls[0].ended[0], 1009)

    async def test_speech_beyond_the_backlog_is_dropped(self):
        async def script(bot):
            await bot.say(tones(16000, (600, -20))(0, 16000 * 5))
            await bot.mark("end")
            bot.done = await bot.marked("end")

        async with bots(Jambonz, 16000, script) as (port, calls):
            with Mynahd(config(port, Jambonz, more="backlog_ms = 1000\n")) as server:
                async with session(server) as p:
                    await hears(p, 0.9)
                    await calls[0].marked("end")
                    self.assertTrue(14000 < np.count_nonzero(p.heard()) < 18000)
                    self.assertGreater(server.metrics()["mynah_bridge_dropped_milliseconds_total"], 0)

    async def test_a_bot_that_stops_reading_hears_the_present_later(self):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listening.bind(("127.0.0.1", 0))
        stalled, resume = asyncio.Event(), asyncio.Event()

        class Stalling(Jambonz):
            async def listen(self):
                self.take(await self.ws.recv())
                stalled.set()
                await resume.wait()
                await super().listen()

        async with bots(Stalling, 48000, None, sock=listening, max_queue=2) as (port, calls):
            with Mynahd(config(port, Jambonz, room=48000)) as server:
                async with session(server) as p:
                    await stalled.wait()
                    for second in range(8):  # a constant that tells the time
                        await talk(p, lambda start, n, second=second: np.full(n, 1000 + 1000 * second), 1)
                    resume.set()
                    await talk(p, lambda start, n: np.full(n, 20000), 2)
                    dropped = server.metrics()["mynah_bridge_unheard_milliseconds_total"]
                    self.assertGreater(dropped, 1000)
                    await calls[0].until(lambda: np.any(calls[0].heard() > 19000))
                    waited = np.sum(calls[0].heard() < 19000) / 48000
                    self.figure(f"of 8 s that a bot did not read {dropped / 1000:.1f} s were dropped")
                    self.assertLess(waited, 7)
                    self.assertEqual(len(calls), 1)


class Secrets(VoiceCase):
    KEY = "s3cret-key-of-the-bot"

    async def test_a_key_goes_over_tls_to_whom_the_certificate_names(self):
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder)
            key_file = pathlib.Path(folder) / "key"
            key_file.write_text(self.KEY + "\n")
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(cert.cert_path, cert.key_path)
            env = {"SSL_CERT_FILE": str(cert.cert_path), "BOT_KEY": self.KEY}
            async with bots(Jambonz, 16000, None, tls=tls) as (port, calls):
                for more in 'api_key_env = "BOT_KEY"\n', f'api_key_file = "{key_file}"\n':
                    with Mynahd(config(port, Jambonz, scheme="wss", host="localhost", more=more) +
                                '[log]\nlevel = "debug"\n', env=env) as server:
                        async with session(server):
                            await asyncio.sleep(0.5)
                            self.assertEqual(calls[-1].headers["Authorization"], "Bearer " + self.KEY)
                        self.assertNotIn("s3cret", server.log())
                self.assertEqual(len(calls), 2)
                with Mynahd(config(port, Jambonz, scheme="wss", host="localhost", more='api_key_env = "BOT_KEY"\n'),
                            env={"BOT_KEY": self.KEY}) as server:
                    async with session(server) as p:
                        self.assertIn("certificate refused", await down(p))
                self.assertEqual(len(calls), 2)

    async def test_a_missing_key_is_reported(self):
        for more, words in [('api_key_env = "NO_SUCH_KEY"\n', "the environment has no NO_SUCH_KEY"),
                            ('api_key_file = "/nowhere/key"\n', "No such file"),
                            (f'api_key_file = "{os.devnull}"\n', "there is no key")]:
            async with bots(Jambonz, 16000, None) as (port, calls):
                with Mynahd(config(port, Jambonz, more=more)) as server:
                    async with session(server) as p:
                        self.assertIn(words, await down(p))
                self.assertEqual(calls, [])


if __name__ == "__main__":
    unittest.main()
