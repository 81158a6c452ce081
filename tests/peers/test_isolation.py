#!/usr/bin/env python3
# Runs alone: it counts what others lose.
"""The faults of a worker stay in its room: while each misbehaves in its own way, two people in another room count the
numbers of their v1 frames. And whatever it does, it is gone within four seconds of the last person."""
import asyncio
import contextlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from mynahd import Mynahd, binary  # noqa: E402
from realtime_provider import Provider  # noqa: E402
from voice import session  # noqa: E402
from voice_case import PATIENT, VoiceCase, off_loop  # noqa: E402

ODD = pathlib.Path(binary()).resolve().parents[1] / "tests/odd_worker"
KEY = "sk-test-s3cret"
SECONDS = 2.0


class Neighbours:
    """Two people who talk to each other in a process of their own; see neighbours.py."""

    def __init__(self, server):
        self.process = subprocess.Popen([sys.executable, HERE / "neighbours.py", str(server.port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def report(self):
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.communicate("end\n")


def room(name, bridge):
    return f'[[room]]\nname = "{name}"\nbridge = "{bridge}"\n'


ANY = '[[room]]\nname = "*"\n'


class Isolation(VoiceCase):
    async def undisturbed(self, server, names):
        """Somebody comes into the room of each worker in turn, while the neighbours talk; nothing is missing there."""
        async def attempt():
            await off_loop(self.neighbours.report)
            start = time.monotonic()
            async with contextlib.AsyncExitStack() as stack:
                for name in names:
                    await stack.enter_async_context(session(server, room=name))
                    await asyncio.sleep(0.2)
                await asyncio.sleep(SECONDS)
                report, passed = await off_loop(self.neighbours.report), time.monotonic() - start
            for listener in report:
                self.assertGreater(listener["frames"], passed * 50 * 0.9, report)
                self.assertEqual((listener["missing"], listener["jumps"], listener["begins"]), (0, 0, 0), report)
            self.figure(f"{', '.join(names)}: {report}")
        await self.again(attempt)

    @contextlib.asynccontextmanager
    async def town(self, config, **options):
        with Mynahd(config + ANY + PATIENT, **options) as server:
            self.neighbours = Neighbours(server)
            try:
                yield server
            finally:
                await off_loop(self.neighbours.end)

    async def test_children(self):
        modes = ["half", "stalled", "flood", "shout", "hang", "abort", "garbage", "cut", "echo"]
        config = "".join(f'[bridge.{mode}]\ntype = "process"\ncommand = ["{ODD}", "{mode}"]\n' + room(mode, mode) for mode in modes)
        async with self.town(config) as server:
            await self.undisturbed(server, modes)

    async def test_a_child_that_cannot_be_started_or_exits_at_once(self):
        config = (f'[bridge.exits]\ntype = "process"\ncommand = ["{ODD}", "exit", "3"]\n' + room("exits", "exits") +
                  '[bridge.nothing]\ntype = "process"\ncommand = ["/nonexistent/worker"]\n' + room("nothing", "nothing"))
        async with self.town(config) as server:
            await self.undisturbed(server, ["exits", "nothing"])

    async def test_servers_for_audiosocket(self):
        async def half(reader, writer):
            writer.write(b"\x12\x02\x80half")
            await reader.read()

        async def stalled(reader, writer):
            writer.transport.pause_reading()
            await asyncio.sleep(10)

        async def flood(reader, writer):
            while True:
                writer.write(b"\x12\x7d\x00" + bytes(32000))
                await writer.drain()

        async def exits(reader, writer):
            writer.transport.abort()

        async def garbage(reader, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        servers, config = [], ""
        for behave in half, stalled, flood, exits, garbage:
            name = behave.__name__
            servers.append(await asyncio.start_server(self.quietly(behave), "127.0.0.1", 0))
            port = servers[-1].sockets[0].getsockname()[1]
            config += f'[bridge.{name}]\ntype = "audiosocket"\naddress = "tcp://127.0.0.1:{port}"\n' + room(name, name)
        async with self.town(config) as server:
            await self.undisturbed(server, [b.__name__ for b in (half, stalled, flood, exits, garbage)])
        for server in servers:
            server.close()

    @staticmethod
    def quietly(behave):
        async def serve_one(reader, writer):
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await behave(reader, writer)
            writer.close()
        return serve_one

    async def test_bots_behind_a_websocket(self):
        async def half(ws):  # of a frame, which never ends
            ws.transport.write(b"\x82\x7f" + struct.pack(">Q", 1 << 19) + bytes(1000))
            await ws.wait_closed()

        async def stalled(ws):
            ws.transport.pause_reading()
            await asyncio.sleep(10)

        async def flood(ws):
            while True:
                await ws.send(bytes(64000))

        async def exits(ws):
            ws.transport.abort()

        async def garbage(ws):
            ws.transport.write(bytes(range(256)))
            await ws.wait_closed()

        async def storm(ws):
            for i in range(100000):
                await ws.send('{"type":"mark","data":{"name":"m"}}')

        async def huge(ws):
            await ws.send(bytes(8 << 20))

        behaviours = {f.__name__: f for f in (half, stalled, flood, exits, garbage, storm, huge)}

        async def handler(ws):
            with contextlib.suppress(ConnectionClosed, ConnectionError):
                await behaviours[ws.request.path.strip("/")](ws)

        async with serve(handler, "127.0.0.1", 0, compression=None) as bots:
            port = bots.sockets[0].getsockname()[1]
            config = "".join(f'[bridge.{n}]\ntype = "websocket"\nurl = "ws://127.0.0.1:{port}/{n}"\n' + room(n, n) for n in behaviours)
            async with self.town(config) as server:
                await self.undisturbed(server, list(behaviours))

    async def test_providers(self):
        async def closes(s):
            await s.ws.close(1011)

        async def resets(s):
            s.ws.transport.abort()

        async def stalls(s):
            await s.respond(seconds=20, pace=1.0)
            s.ws.transport.pause_reading()
            await asyncio.sleep(0.5)
            s.response.cancel()

        async def garbage(s):
            for _ in range(1000):
                await s.ws.send('{"type":"response.output_audio.delta","delta":"!!!!"}')
                await s.ws.send("{" * 5000)

        async def huge(s):
            await s.ws.send("x" * (8 << 20))

        async def floods(s):
            await s.respond(seconds=100000, pace=1e6)

        scripts = {f.__name__: f for f in (closes, resets, stalls, garbage, huge, floods)}

        async def script(s):
            await scripts[s.query["model"]](s)

        def refuse(n, request):
            return {"model=refuses": (401, {}, ""), "model=limits": (429, {"Retry-After": "1"}, "")}.get(
                request.path.partition("?")[2])

        async with Provider(script, refuse=refuse) as provider:
            config = "".join(f'[bridge.{n}]\ntype = "openai"\nurl = "{provider.url}"\nmodel = "{n}"\n' + room(n, n)
                             for n in [*scripts, "refuses", "limits"])
            async with self.town(config, env={"OPENAI_API_KEY": KEY}) as server:
                await self.undisturbed(server, [*scripts, "refuses", "limits"])
                self.assertNotIn("s3cret", server.log())
            provider.faults.clear()


class Hung(VoiceCase):
    """It takes nothing, says nothing and never ends by itself."""

    async def gone_within_4_s(self, config, attached, left, **options):
        with Mynahd(config + ANY + PATIENT + '[log]\nlevel = "debug"\n', **options) as server:
            async with session(server, room="elsewhere"):
                async with session(server, room="call") as p:
                    await p.until(lambda: attached(server), 10, "the worker")
                    await asyncio.sleep(0.3)
                    p.close_session()
                    start = time.monotonic()
                end = start + 4
                while left(server):
                    self.assertLess(time.monotonic(), end, "it is still there")
                    await asyncio.sleep(0.02)
                self.figure(f"gone after {time.monotonic() - start:.2f} s")

    @staticmethod
    def sockets(server):
        """Of TCP, to somebody: the daemon's own and those of its workers."""
        folder, tcp = f"/proc/{server.process.pid}/fd", set()
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] not in ("0A",):  # it listens
                tcp.add(f"socket:[{fields[9]}]")
        n = 0
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):
                n += os.readlink(f"{folder}/{fd}") in tcp
        return n

    async def test_a_child(self):
        def pids(server):
            return [int(pid) for pid in re.findall(r"the worker has started pid=(\d+)", server.log())]

        def left(server):
            try:
                stat = pathlib.Path(f"/proc/{pids(server)[-1]}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return False
            return stat.rsplit(")", 1)[1].split()[0] not in "ZX"

        await self.gone_within_4_s(f'[bridge.odd]\ntype = "process"\ncommand = ["{ODD}", "hang"]\n' + room("call", "odd"),
                                   lambda server: "hanging" in server.log(), left)

    async def test_a_server_for_audiosocket(self):
        calls = []

        async def hang(reader, writer):
            calls.append(writer)
            writer.transport.pause_reading()

        hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = hanging.sockets[0].getsockname()[1]
        await self.gone_within_4_s(f'[bridge.odd]\ntype = "audiosocket"\naddress = "tcp://127.0.0.1:{port}"\n' + room("call", "odd"),
                                   lambda server: calls, self.sockets)
        hanging.close()
        for writer in calls:
            writer.transport.abort()

    async def test_a_bot_behind_a_websocket(self):
        calls = []

        async def hang(ws):
            calls.append(ws)
            ws.transport.pause_reading()
            await asyncio.sleep(6)
            ws.transport.abort()

        async with serve(hang, "127.0.0.1", 0, compression=None, ping_interval=None) as bots:
            port = bots.sockets[0].getsockname()[1]
            await self.gone_within_4_s(f'[bridge.odd]\ntype = "websocket"\nurl = "ws://127.0.0.1:{port}/"\n' + room("call", "odd"),
                                       lambda server: calls, self.sockets)

    async def test_a_provider(self):
        async def hang(s):
            s.ws.transport.pause_reading()
            s.hangs = True
            await asyncio.sleep(6)
            s.ws.transport.abort()

        async with Provider(hang) as provider:
            await self.gone_within_4_s(
                f'[bridge.odd]\ntype = "openai"\nurl = "{provider.url}"\nmodel = "m"\n' + room("call", "odd"),
                lambda server: any(getattr(s, "hangs", False) for s in provider.sessions), self.sockets, env={"OPENAI_API_KEY": KEY})

    async def test_a_server_that_accepts_and_says_nothing(self):
        """The connection stands, the upgrade is never answered."""
        calls = []

        async def hang(reader, writer):
            calls.append(writer)

        hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = hanging.sockets[0].getsockname()[1]
        for kind in f'"websocket"\nurl = "ws://127.0.0.1:{port}/"\n', f'"openai"\nurl = "ws://127.0.0.1:{port}/"\nmodel = "m"\n':
            calls.clear()
            await self.gone_within_4_s(f'[bridge.odd]\ntype = {kind}' + room("call", "odd"), lambda server: calls, self.sockets,
                                       env={"OPENAI_API_KEY": KEY})
        hanging.close()
        for writer in calls:
            writer.transport.abort()


class Refusals(VoiceCase):
    async def test_repeated_refusals_do_not_fill_the_log(self):
        with Mynahd('[[room]]\nname = "one"\n', server="shards = 1\n") as server:  # each counts for itself
            for _ in range(30):
                with self.assertRaises(AssertionError):
                    async with session(server, room="another"):
                        pass
            self.assertEqual(sum(" refused status=404" in line for line in server.lines), 20)
            self.assertEqual((await off_loop(server.metrics))['mynah_sessions_refused_total{status="404"}'], 30)


if __name__ == "__main__":
    unittest.main()
