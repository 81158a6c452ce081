#!/usr/bin/env python3
"""Workers behind a bridge as people in the room hear them: children and servers for AudioSocket, good and bad."""
import asyncio
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, ROOT, binary  # noqa: E402
from voice import after_sound, session, sessions, talk, tones  # noqa: E402
from voice_case import PATIENT, VoiceCase, off_loop  # noqa: E402

EXAMPLE = ROOT / "docs/examples/worker.py"
ODD = pathlib.Path(binary()).resolve().parents[1] / "tests/odd_worker"
A4 = tones(16000, (440, -10))


def process(name, *command, extra=""):
    words = ", ".join(f'"{word}"' for word in command)
    return f'[bridge.{name}]\ntype = "process"\nbarge_in = "off"\ncommand = [{words}]\n{extra}\n'


def room(name, bridge, extra=""):
    return f'[[room]]\nname = "{name}"\nbridge = "{bridge}"\n{extra}\n'


ANY = '[[room]]\nname = "*"\n'


def pid_of(server, nth=-1):
    pids = re.findall(r"the worker has started pid=(\d+)", server.log())
    return int(pids[nth])


def runs(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rsplit(")", 1)[1].split()[0] not in "ZX"


async def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        await asyncio.sleep(0.02)


class AudioSocketServer:
    """As one finds them: reads the UUID, then answers each record of audio with one of its own, at half the level."""

    def __init__(self):
        self.calls, self.errors, self.ended = [], [], 0

    async def serve(self, reader, writer):
        try:
            kind, uuid = await self.record(reader)
            assert (kind, len(uuid)) == (0x01, 16), (kind, uuid)
            self.calls.append(uuid.hex())
            while True:
                kind, payload = await self.record(reader)
                if kind == 0x00:
                    break
                assert kind == 0x10 and len(payload) == 320, (kind, len(payload))
                half = (np.frombuffer(payload, "<i2") // 2).astype("<i2").tobytes()
                writer.write(b"\x10" + len(half).to_bytes(2, "big") + half)
        except (AssertionError, asyncio.IncompleteReadError) as error:
            self.errors.append(error)
        self.ended += 1
        writer.close()

    @staticmethod
    async def record(reader):
        head = await reader.readexactly(3)
        return head[0], await reader.readexactly(int.from_bytes(head[1:], "big"))


class Workers(VoiceCase):
    def assert_heard(self, peer, hz, db, rate=16000):
        """A stretch of at least a second with this sine in it, clean."""
        x = peer.heard().astype(float)
        loud = np.flatnonzero(np.abs(x) > 500)
        self.assertGreater(len(loud), rate // 2)
        middle = x[loud[0] + rate // 4:loud[-1] - rate // 4]
        self.assertGreater(len(middle), rate)
        self.assert_clean(middle, rate, {hz: db})

    async def echo(self, config, check=None, seconds=3):
        with Mynahd(config + PATIENT + '[log]\nlevel = "debug"\n') as server:
            async with session(server) as p:
                await off_loop(server.wait_for_line, "bridge=.* open type=")
                await talk(p, A4, seconds)
                await after_sound(p)
                self.assert_heard(p, 440, -16)
                if check:
                    await check(server, p)

    async def test_a_child_answers(self):
        async def check(server, p):
            metrics = await off_loop(server.metrics)
            self.assertEqual(metrics["mynah_bridges"], 1)
            self.assertEqual(metrics["mynah_bridge_failures_total"], 0)
            # what follows is silence, and nobody is sent silence all day
            n = len(p.frames)
            await asyncio.sleep(1)
            self.assertLess(len(p.frames) - n, 5)

        async def attempt():
            await self.echo(process("half", "python3", EXAMPLE) + '[private]\nbridge = "half"\n', check)
        await self.again(attempt, 8)

    async def test_a_server_for_audiosocket_over_tcp(self):
        async def attempt():
            stock = AudioSocketServer()
            async with await asyncio.start_server(stock.serve, "127.0.0.1", 0) as listening:
                port = listening.sockets[0].getsockname()[1]
                await self.echo('[bridge.pbx]\ntype = "audiosocket"\nbarge_in = "off"\nsample_rate = 8000\n'
                                f'address = "tcp://localhost:{port}"\n[private]\nbridge = "pbx"\n')
                await until(lambda: stock.ended == 1, 5, "the hang-up")
            self.assertEqual(stock.errors, [])
            self.assertEqual(len(stock.calls), 1)
        await self.again(attempt)

    async def test_a_server_for_audiosocket_on_a_unix_socket(self):
        async def attempt():
            stock = AudioSocketServer()
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "pbx")
                async with await asyncio.start_unix_server(stock.serve, path):
                    await self.echo('[bridge.pbx]\ntype = "audiosocket"\nbarge_in = "off"\nsample_rate = 8000\n'
                                    f'address = "unix:{path}"\n[private]\nbridge = "pbx"\n')
                    await until(lambda: stock.ended == 1, 5, "the hang-up")
            self.assertEqual(stock.errors, [])
        await self.again(attempt)

    async def test_a_server_that_comes_late_is_found(self):
        stock = AudioSocketServer()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pbx")
            with Mynahd(f'[bridge.pbx]\ntype = "audiosocket"\nbarge_in = "off"\nsample_rate = 8000\naddress = "unix:{path}"\n'
                        '[private]\nbridge = "pbx"\n') as server:
                async with session(server) as p:
                    down = await p.expect("bridge", up=False)
                    self.assertIn("no such file or directory", down["text"])
                    listening = await asyncio.start_unix_server(stock.serve, path)
                    await until(lambda: stock.calls, 5, "a call")
                    p.close_session()
                    await until(lambda: stock.ended, 5, "the hang-up")
                    listening.close()
        self.assertEqual(stock.errors, [])

    async def test_a_killed_child_is_back_within_a_second_and_people_go_on(self):
        with Mynahd(process("half", "python3", EXAMPLE) + room("call", "half") + PATIENT +
                    '[log]\nlevel = "debug"\n') as server:
            async with sessions(server, [{"room": "call", "name": n} for n in ("Ann", "Bob")]) as (ann, bob):
                pid = pid_of(server)
                talking = asyncio.create_task(talk(ann, A4, 4))
                await asyncio.sleep(1.5)
                os.kill(pid, signal.SIGKILL)
                at = time.monotonic()
                down = await bob.expect("bridge", up=False)
                self.assertIn("killed by signal 9", down["text"])
                await bob.expect("bridge", up=True)
                self.assertLess(time.monotonic() - at, 1)
                await talking
                await bob.settled()
                x = bob.heard().astype(float)
                # Ann at -10 dBFS is there in every 20 ms from begin to end, with the worker or without
                loud = np.flatnonzero(np.abs(x) > 3000)
                self.assertGreater(loud[-1] - loud[0], 3.5 * 16000)
                self.assertLess(np.max(np.diff(loud)), 320)
                self.assertNotEqual(pid_of(server), pid)
            metrics = await off_loop(server.metrics)
            self.assertEqual(metrics["mynah_bridge_failures_total"], 1)
            self.assertEqual(metrics["mynah_bridge_restarts_total"], 1)

    async def test_a_hung_child_is_gone_within_four_seconds_of_the_last_person(self):
        with Mynahd(process("odd", ODD, "hang") + room("call", "odd") + ANY + '[log]\nlevel = "debug"\n') as server:
            async with session(server, room="elsewhere"):
                async with session(server, room="call") as p:
                    await off_loop(server.wait_for_line, 'stderr="hanging"')
                    pid = pid_of(server)
                    self.assertTrue(runs(pid))
                    p.close_session()
                    at = time.monotonic()
                await until(lambda: not runs(pid), 4, "the end of the worker")
                self.assertGreater(time.monotonic() - at, 1)
            self.assertIn("does not end", server.log())

    async def test_a_hung_child_does_not_keep_the_daemon(self):
        with Mynahd(process("odd", ODD, "hang") + '[private]\nbridge = "odd"\n[log]\nlevel = "debug"\n') as server:
            async with session(server):
                await off_loop(server.wait_for_line, 'stderr="hanging"')
                pid = pid_of(server)
                at = time.monotonic()
                await off_loop(server.stop)
                self.assertLess(time.monotonic() - at, 7)
            self.assertFalse(runs(pid))

    async def test_a_child_has_no_descriptor_of_the_daemon(self):
        with Mynahd(process("odd", ODD, "fds") + '[private]\nbridge = "odd"\n') as server:
            async with session(server):
                line = await off_loop(server.wait_for_line, 'stderr="fds')
                self.assertEqual(sorted(re.search('fds ([^"]*)"', line).group(1).split()), ["0", "1", "2"])

    async def test_bad_workers_disturb_no_other_room(self):
        """Each in a room of its own, while two people talk in another."""
        modes = ["flood", "stalled", "half", "garbage", "shout", "abort", "cut", "hang"]
        config = "".join(process(mode, ODD, mode) + room(mode, mode) for mode in modes) + ANY
        with Mynahd(config) as server:
            call = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("call.py"), str(server.port)],
                                    text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

            def report():
                call.stdin.write("report\n")
                call.stdin.flush()
                return json.loads(call.stdout.readline())

            try:
                async def attempt():
                    async with contextlib.AsyncExitStack() as stack:
                        await off_loop(report)
                        for mode in modes:
                            await stack.enter_async_context(session(server, room=mode))
                        await asyncio.sleep(3)
                        for listener in await off_loop(report):
                            self.assertGreater(listener["whole"], 100)
                            self.assertEqual(listener["faults"], 0, listener)
                await self.again(attempt)
                metrics = await off_loop(server.metrics)
                self.assertGreater(metrics["mynah_bridge_failures_total"], 3)
                self.assertGreater(metrics["mynah_bridge_unheard_milliseconds_total"], 1000)
                self.assertGreater(metrics["mynah_bridge_dropped_milliseconds_total"], 1000)
            finally:
                await off_loop(call.communicate, "end\n")

    async def test_a_worker_that_exits_at_once_is_started_less_and_less_often(self):
        with Mynahd(process("odd", ODD, "exit", "3") + '[private]\nbridge = "odd"\n') as server:
            async with session(server) as p:
                down = await p.expect("bridge", up=False)
                self.assertEqual(down["text"], "exited with status 3")
                await until(lambda: server.log().count("retry_ms=") == 4, 5, "the fourth failure")
                pauses = [int(ms) for ms in re.findall("retry_ms=([0-9]+)", server.log())]
                for pause, least in zip(pauses, (100, 200, 400, 800)):
                    self.assertTrue(least <= pause <= 1.25 * least, pauses)
                self.assertEqual(len([line for line in p.lines if line["type"] == "bridge"]), 1)
                metrics = await off_loop(server.metrics)
                self.assertEqual(metrics["mynah_bridges_down"], 1)
                self.assertIn(metrics["mynah_bridge_restarts_total"], (3, 4))
                self.assertIn(metrics["mynah_bridge_failures_total"], (4, 5))
            await off_loop(server.wait_for_metric, "mynah_bridges_down", 0)

    async def test_a_worker_that_is_stopped_is_given_up_and_another_started(self):
        with Mynahd(process("odd", ODD, "events", extra="stall_ms = 1000") + '[private]\nbridge = "odd"\n[log]\nlevel = "debug"\n') as server:
            async with session(server) as p:
                await off_loop(server.wait_for_line, "the worker has started")
                pid = pid_of(server)
                await asyncio.sleep(0.5)
                os.kill(pid, signal.SIGSTOP)
                down = await p.expect("bridge", up=False)
                self.assertEqual(down["text"], "it has taken nothing for 1 s")
                await p.expect("bridge", start=p.lines.index(down), up=True)
                self.assertNotEqual(pid_of(server), pid)
                await until(lambda: not runs(pid), 10, "the end of the one that was stopped")
                self.assertEqual((await off_loop(server.metrics))["mynah_bridge_failures_total"], 1)

    async def test_a_child_that_says_goodbye_rests_until_somebody_joins(self):
        with Mynahd(process("odd", ODD, "parting", "0") + room("all", "odd")) as server:
            async with session(server, room="all") as p:
                down = await p.expect("bridge", up=False)
                self.assertEqual(down["text"], "exited with status 0")
                await asyncio.sleep(1)
                metrics = await off_loop(server.metrics)
                for name in "bridges_down", "bridge_failures_total", "bridge_restarts_total":
                    self.assertEqual(metrics["mynah_" + name], 0)
                async with session(server, room="all"):
                    await p.expect("bridge", start=p.lines.index(down), up=True)

    async def test_stderr_of_a_child_is_one_quoted_line(self):
        with Mynahd(process("odd", ODD, "stderr") + '[private]\nbridge = "odd"\n') as server:
            async with session(server):
                line = await off_loop(server.wait_for_line, "three")
                self.assertNotIn("\x1b", line)
                self.assertRegex(line, r'info +room=- bridge=odd stderr="[^"]*three"$')


if __name__ == "__main__":
    unittest.main()
