#!/usr/bin/env python3
"""Two shards behind one port: people land on either by chance, and meet in rooms all the same."""
import asyncio
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, ROOT, binary  # noqa: E402
from voice import connection, path_of, session, talk, tones  # noqa: E402
from voice_case import PATIENT, Certificate, VoiceCase, off_loop  # noqa: E402

SHARDS = "shards = 2"
OPEN = '[limits]\nmax_connections_per_address = 100\n'


def landed(peer):
    """The shard that took the connection: numbers of sessions are dealt out in turn."""
    return (int(peer.lines[0]["session"].lstrip("s")) - 1) % 2


def lives(peer):
    """The shard that the session is on: so are the ids of participants."""
    return (peer.id - 1) % 2


def levels(x, rate, *hz):
    """dBFS of each sine in x, by correlation."""
    t = np.arange(len(x)) / rate
    return [20 * np.log10(max(2 * abs(np.mean(x / 32768 * np.exp(-2j * np.pi * f * t))), 1e-6)) for f in hz]


@contextlib.asynccontextmanager
async def crowd(server, arrivals):
    """Sessions for these arguments; `enough` of what has come may end it early."""
    async with contextlib.AsyncExitStack() as stack:
        async def come(**wanted):
            return await stack.enter_async_context(session(server, **wanted))
        yield [await come(**wanted) for wanted in arrivals], come


class Shards(VoiceCase):
    async def both(self, come, **wanted):
        """Two in one room who landed on different shards; chance decides, so as many as that takes."""
        first = await come(**wanted)
        for _ in range(40):
            other = await come(**wanted)
            if landed(other) != landed(first):
                return first, other
        raise AssertionError("40 connections on one shard")

    async def test_each_has_a_thread(self):
        with Mynahd(server="shards = 3") as server:
            tasks = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/comm")
            names = {task.read_text().strip() for task in tasks}
            self.assertLessEqual({"mynahd", "mynahd/1", "mynahd/2"}, names)
            self.assertEqual(server.metrics()["mynah_shards"], 3)
        with Mynahd(server="shards = 1") as server:
            self.assertEqual(server.metrics()["mynah_shards"], 1)

    async def test_by_default_there_is_one_for_each_core(self):
        with Mynahd() as server:
            self.assertEqual(server.metrics()["mynah_shards"], len(os.sched_getaffinity(0)))

    async def test_a_second_daemon_cannot_join_in(self):
        with Mynahd(server=SHARDS) as server:
            other = Mynahd(server=SHARDS, port=server.port)
            with other.dir:
                done = subprocess.run(other.command, capture_output=True, timeout=30, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("cannot listen on", done.stderr)

    async def test_rooms_of_four_across_shards(self):
        """A talker in each room; the three listeners there hear the talker without a gap, and nobody else."""
        hz = [400, 700, 1100, 1600]

        async def attempt(server):
            wanted = [{"room": f"r{i % 4}", "frames": "v1"} for i in range(16)]
            async with crowd(server, wanted) as (people, _):
                moved = sum(landed(p) != lives(p) for p in people)
                self.assertGreater(moved, 0)
                await asyncio.gather(*(talk(people[i], tones(16000, (hz[i], -15)), 2.5) for i in range(4)))
                await asyncio.sleep(0.8)
                for i, p in enumerate(people[4:]):
                    numbers = [f.sequence for f in p.numbered]
                    self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
                    self.assertGreater(len(p.numbered), 115)
                    sound = np.concatenate([f.samples for f in p.numbered])[8000:32000]
                    for k, level in enumerate(levels(sound, 16000, *hz)):
                        if k == i % 4:
                            self.assertAlmostEqual(level, -15, delta=1)
                        else:
                            self.assertLess(level, -50)
                return moved

        with Mynahd(PATIENT + OPEN, server=SHARDS) as server:
            await self.again(lambda: attempt(server))

    async def test_counters_of_the_shards_add_up(self):
        with Mynahd(OPEN, server=SHARDS) as server:
            async with crowd(server, [{"room": f"r{i % 3}"} for i in range(12)]) as (people, _):
                moved = sum(landed(p) != lives(p) for p in people)
                m = await off_loop(server.metrics)
                self.assertEqual((m["mynah_sessions"], m["mynah_rooms"], m["mynah_participants"]), (12, 3, 12))
                self.assertEqual((m["mynah_connections"], m["mynah_sessions_opened_total"]), (12, 12))
                self.assertEqual(m["mynah_connections_moved_total"], moved)
                self.assertEqual(m["mynah_connections_away"], moved)
                self.assertEqual(m["mynah_packets_unknown_total"], 0)
                self.assertEqual(m["mynah_packets_forward_dropped_total"], 0)
                self.assertIn('"sessions":12', (await off_loop(server.get, "/healthz"))[1])
                self.assertEqual(len({p.id for p in people}), 12)
                self.assertEqual(len({p.lines[0]["session"] for p in people}), 12)
            await off_loop(server.wait_for_metric, "mynah_sessions", 0)
            await off_loop(server.wait_for_metric, "mynah_connections_away", 0)
            self.assertEqual((await off_loop(server.metrics))["mynah_rooms"], 0)

    async def test_control_streams_reach_across(self):
        with Mynahd(OPEN, server=SHARDS) as server:
            async with crowd(server, []) as (_, come):
                a, b = await self.both(come, room="x")
                await a.expect("joined")
                a.say("message", text="over there")
                line = await b.expect("message", text="over there")
                self.assertEqual(line["from"], a.id)
                b.say("message", to=a.id, text="and back")
                await a.expect("message", text="and back")
                b.say("mute", muted=True)
                await a.expect("mute", muted=True)
                b.close_session()
                await a.expect("left")

    async def test_requests_are_answered_by_both(self):
        """Pages and refusals over HTTP/3, wherever the connection lands."""
        with Mynahd(server=SHARDS) as server:
            for _ in range(8):
                async with connection(server) as peer:
                    await peer.until(lambda: peer.h3 and peer.h3.received_settings, 10, "SETTINGS")
                    for path in "/healthz", "/mynah.json", "/certificate.sha256":
                        stream = peer.request(path)
                        await peer.until(lambda: stream in peer.responses and peer.responses[stream][2], 10, path)
                        self.assertEqual(peer.responses[stream][0][b":status"], b"200")

    async def test_a_reload_reaches_both(self):
        async def shown(server):
            """The certificate that each shard shows."""
            seen = {}
            for _ in range(60):
                async with session(server, room="x") as p:
                    seen.setdefault(landed(p), set()).add(p.certificate_sha256())
                if len(seen) == 2:
                    return seen
            raise AssertionError(seen)

        with Mynahd() as folder_of:
            cert = Certificate(folder_of.dir.name)
            with Mynahd(OPEN, server=SHARDS + "\n" + cert.config()) as server:
                self.assertEqual(await shown(server), {0: {cert.sha256()}, 1: {cert.sha256()}})
                async with session(server, room="x") as old:
                    new = Certificate(folder_of.dir.name)
                    server.process.send_signal(signal.SIGHUP)
                    await off_loop(server.wait_for_hash, new.sha256())
                    await old.ping()
                    self.assertEqual(await shown(server), {0: {new.sha256()}, 1: {new.sha256()}})
                    self.assertIsNone(old.terminated)

    async def test_limits_hold_for_both_together(self):
        with Mynahd("[limits]\nmax_sessions = 5\n", server=SHARDS) as server:
            statuses = []
            async with contextlib.AsyncExitStack() as stack:
                for i in range(10):
                    peer = await stack.enter_async_context(connection(server))
                    statuses.append(await peer.open_session(path_of(f"r{i}")))
                self.assertEqual(sorted(statuses), [200] * 5 + [503] * 5)
                self.assertEqual(statuses[:5], [200] * 5)
        with Mynahd("[limits]\nmax_connections_per_address = 6\n", server=SHARDS) as server:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(6):
                    await stack.enter_async_context(session(server))
                with self.assertRaises((ConnectionError, AssertionError)):
                    await stack.enter_async_context(session(server))
                self.assertEqual((await off_loop(server.metrics))['mynah_connections_refused_total{reason="address"}'], 1)

    async def test_children_of_both_shards_answer_and_end(self):
        """Bridges with a child in rooms of either shard; one is killed and comes back."""
        config = ('[bridge.half]\ntype = "process"\nbarge_in = "off"\n'
                  f'command = ["python3", "{ROOT / "docs/examples/worker.py"}"]\n[private]\nbridge = "half"\n')
        with Mynahd(config + PATIENT + OPEN + '[log]\nlevel = "debug"\n', server=SHARDS) as server:
            async with crowd(server, []) as (_, come):
                people = {}
                while len(people) < 2:
                    p = await come()
                    people.setdefault(landed(p), p)
                    self.assertLess(int(p.lines[0]["session"].lstrip("s")), 100)
                await off_loop(server.wait_for_line, "the worker has started")
                sound = tones(16000, (440, -10))
                await asyncio.gather(*(talk(p, sound, 2) for p in people.values()))
                for p in people.values():
                    await p.until(lambda p=p: len(p.frames) > 60, 10, "an answer")
                pids = [int(pid) for pid in re.findall(r"the worker has started pid=(\d+)", server.log())]
                self.assertGreaterEqual(len(set(pids)), 2)
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                await off_loop(server.wait_for_metric, "mynah_bridge_restarts_total", len(pids), 20)
            await off_loop(server.wait_for_metric, "mynah_bridges", 0)
            await off_loop(server.wait_for_metric, "mynah_sessions", 0)

    async def test_both_are_drained(self):
        with Mynahd(OPEN, server=SHARDS + "\ndrain_ms = 500") as server:
            async with crowd(server, []) as (_, come):
                a, b = await self.both(come, room="x")
                c, d = await self.both(come)  # private rooms stay where they are
                self.assertNotEqual(lives(c), lives(d))
                server.process.send_signal(signal.SIGTERM)
                for p in a, b, c, d:
                    await p.expect("bye")
                    self.assertTrue(await p.until(lambda p=p: p.draining, 5, "DRAIN"))
                    await p.until(lambda p=p: p.ended, 5, "the end")
                    self.assertEqual(p.ended[0], 1)
                await off_loop(server.wait_for_line, "stopped")
            server.stop()

    async def test_the_peer_moves_on_after_the_move(self):
        with Mynahd(OPEN + PATIENT, server=SHARDS) as server:
            async with crowd(server, []) as (_, come):
                a, b = await self.both(come, room="x")
                mover = a if landed(a) != lives(a) else b
                other = b if mover is a else a
                await mover.move()
                await mover.ping()
                await talk(mover, tones(16000, (500, -15)), 1)
                await other.until(lambda: len(other.frames) > 40, 10, "sound of the other")
                await talk(other, tones(16000, (500, -15)), 1)
                await mover.until(lambda: len(mover.frames) > 40, 10, "the other's sound")
                self.assertGreaterEqual((await off_loop(server.metrics))["mynah_migrations_total"], 1)

    async def test_load(self):
        """The load generator's own judgement: nobody lost, no foreign room."""
        mynah = pathlib.Path(binary()).with_name("mynah")
        with Mynahd(OPEN + PATIENT, server=SHARDS) as server:
            run = await off_loop(lambda: subprocess.run(
                [mynah, "load", server.url, "--insecure", "--sessions", "48", "--seconds", "3", "--quiet"],
                capture_output=True, text=True, timeout=60))
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertRegex(run.stdout, r"wrong room +0")
            self.assertRegex(run.stdout, r"48 opened, 0 failed, 0 lost")
            m = await off_loop(server.metrics)
            self.assertGreater(m["mynah_connections_moved_total"], 0)
            self.assertEqual(m["mynah_packets_unknown_total"], 0)


if __name__ == "__main__":
    unittest.main()
