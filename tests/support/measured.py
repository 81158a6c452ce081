"""Workers of each kind that say when they hear something, and speak when they are told to: an async context each, with
`config` (a [bridge.ai]), `heard` (times), `events`, and say(milliseconds, hz), which returns when it was said."""
import asyncio
import json
import pathlib
import socket
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))
from realtime_provider import Provider  # noqa: E402
from test_websocket_workers import Jambonz, bots  # noqa: E402

LOUD = 3000


def sine(hz, milliseconds, rate=16000):
    return np.round(16000 * np.sin(2 * np.pi * hz * np.arange(rate * milliseconds // 1000) / rate)).astype("<i2")


class Measured:
    env = {}

    def __init__(self, more=""):
        self.more = more
        self.heard, self.events, self.quiet = [], [], True
        self.there = asyncio.Event()

    async def gone(self):
        """Until its room has ended."""
        end = time.monotonic() + 10
        while self.there.is_set():
            assert time.monotonic() < end, "it stays"
            await asyncio.sleep(0.01)

    def hear(self, samples):
        """Sound that begins after silence."""
        loud = len(samples) > 0 and int(np.max(samples)) > LOUD
        if loud and self.quiet:
            self.heard.append(time.monotonic())
        self.quiet = not loud


class Child(Measured):
    name = "process"

    async def __aenter__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/link"
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listening.bind(path)
        self.listening.listen(8)
        self.listening.setblocking(False)
        self.serving = asyncio.ensure_future(self.serve())
        self.config = (f'[bridge.ai]\ntype = "process"\ncommand = ["{sys.executable}", "{HERE / "measured_worker.py"}", "{path}"]\n'
                       f'{self.more}\n')
        return self

    async def __aexit__(self, *exc):
        self.serving.cancel()
        self.listening.close()
        self.folder.cleanup()

    async def serve(self):
        """One at a time: a room's worker, and the next one's."""
        loop = asyncio.get_running_loop()
        while True:
            self.link, _ = await loop.sock_accept(self.listening)
            while text := await loop.sock_recv(self.link, 65536):
                line = json.loads(text)
                if "ready" in line:
                    self.there.set()
                elif "heard" in line:
                    self.heard.append(line["heard"])
                elif "said" in line:
                    self.said.set_result(line["said"])
                else:
                    self.events.append(line["event"])
            self.there.clear()
            self.link.close()

    async def say(self, milliseconds, hz):
        await self.there.wait()
        self.said = asyncio.get_running_loop().create_future()
        self.link.send(json.dumps({"say": milliseconds, "hz": hz}).encode())
        return await self.said


class Bot(Measured):
    name = "websocket"
    sock = None

    async def __aenter__(self):
        measured = self

        class Listening(Jambonz):
            async def on_sound(self, sound):
                self.samples.clear()
                measured.hear(sound)

        async def script(bot):
            measured.bot = bot
            measured.there.set()
            try:
                await bot.ws.wait_closed()
            finally:
                measured.there.clear()

        self.server = bots(Listening, 16000, script, sock=self.sock, max_queue=2)
        port, _ = await self.server.__aenter__()
        self.config = f'[bridge.ai]\ntype = "websocket"\nurl = "ws://127.0.0.1:{port}/"\n{self.more}\n'
        return self

    async def __aexit__(self, *exc):
        await self.server.__aexit__(*exc)

    async def say(self, milliseconds, hz):
        await self.there.wait()
        pcm = sine(hz, milliseconds)
        at = time.monotonic()
        await self.bot.say(pcm)
        return at


class Model(Measured):
    name = "openai"
    env = {"OPENAI_API_KEY": "sk-test-s3cret"}

    async def __aenter__(self):
        async def script(s):
            self.session = s
            self.there.set()
            try:
                await s.ws.wait_closed()
            finally:
                self.there.clear()

        self.provider = Provider(script)
        self.provider.on_sound = self.hear
        await self.provider.__aenter__()
        self.config = f'[bridge.ai]\ntype = "openai"\nurl = "{self.provider.url}"\nmodel = "m"\n{self.more}\n'
        return self

    async def __aexit__(self, *exc):
        await self.provider.__aexit__(*exc)

    async def say(self, milliseconds, hz):
        await self.there.wait()
        at = time.monotonic()
        await self.session.respond(lambda t: 16000 * np.sin(2 * np.pi * hz * t), milliseconds / 1000, pace=1000,
                                   piece=milliseconds / 1000)
        return at
