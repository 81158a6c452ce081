#!/usr/bin/env python3
# Runs alone: it counts what others lose.
"""The fast third of the attacks and of the misbehaving workers, several side by side; scripts/attack runs all of them."""
import asyncio
import logging
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import ATTACKS, run, table, rows  # noqa: E402
from kit import Attack, Town, Verdict  # noqa: E402

SECONDS = 1.5
TOGETHER = 4
TABLE = pathlib.Path(__file__).resolve().parents[2] / "docs/security.md"

for name in "websockets", "quic":
    logging.getLogger(name).setLevel(logging.CRITICAL)


class Attacks(unittest.TestCase):
    """Each layer by itself, each with a server of its own."""

    def attack(self, *layers):
        chosen = [a for a in ATTACKS if a.fast and a.layer in layers]
        self.assertTrue(chosen)
        found = asyncio.run(run(chosen, None, SECONDS, TOGETHER, lambda a, verdict: None))
        for a in chosen:
            if "-v" in sys.argv:
                print(f"{a.name}: {found[a.name]}", file=sys.stderr)
            if not a.pending:
                self.assertEqual(found[a.name].problems, [], a.name)

    def test_packets(self):
        self.attack("packets")

    def test_quic_and_http3(self):
        self.attack("quic", "http3")

    def test_sessions(self):
        self.attack("session")

    def test_page(self):
        self.attack("page")

    def test_children(self):
        self.attack("process")

    def test_workers_on_the_network(self):
        self.attack("audiosocket", "websocket", "openai")


class Kit(unittest.TestCase):
    """The judge sees what it is there to see."""

    def test_a_server_that_falls_over_is_seen(self):
        async def kill(a):
            a.server.process.kill()
            await asyncio.sleep(0.2)
            return "goes on"

        async def attack():
            town = Town([])
            await town.start()
            try:
                broken = Attack("kill", "-", "-", kill, True, False, ("goes on",), 4, "")
                first = town.server.process.pid
                found = (await town.judge([broken], 1))["kill"]
                self.assertIn("the server has ended", found.problems)
                self.assertNotEqual(town.server.process.pid, first)
            finally:
                await town.stop()
        asyncio.run(attack())

    def test_victims_loss_is_seen(self):
        whole = {"frames": 100, "missing": 0, "jumps": 0, "begins": 0}
        report = {"listeners": [whole, whole], "lines_lost": 0, "streams_lost": 0}
        joined = {"join_ms": 10}
        self.assertEqual(Town.of_victims(report, joined, 2), [])
        for key in "missing", "jumps", "begins":
            self.assertEqual(Town.of_victims({**report, "listeners": [whole, {**whole, key: 1}]}, joined, 2), [f"frames: 1 {key}"])
        self.assertEqual(Town.of_victims({**report, "lines_lost": 2}, joined, 2), ["2 lines lost"])
        self.assertEqual(Town.of_victims({**report, "streams_lost": 1}, joined, 2), ["1 control streams lost"])
        self.assertEqual(Town.of_victims(report, joined, 4), ["frames: 100 in 4.0 s"] * 2)
        self.assertEqual(Town.of_victims(report, {"join_ms": 5000}, 2), ["a newcomer waited 5000 ms"])
        self.assertEqual(Town.of_victims(report, {"join_ms": None, "why": "503"}, 2), ["no newcomer got in: 503"])

    def test_a_stopped_server_is_felt_by_the_victims(self):
        async def stop(a):
            os.kill(a.server.process.pid, signal.SIGSTOP)
            await asyncio.sleep(6)
            os.kill(a.server.process.pid, signal.SIGCONT)
            return "another answer"

        async def attack():
            town = Town([])
            await town.start()
            try:
                found = (await town.judge([Attack("stop", "-", "-", stop, True, False, ("goes on",), 4, "")], 1))["stop"]
                self.assertTrue(any(p.startswith("frames: ") for p in found.problems), found)
                self.assertTrue(any("newcomer" in p for p in found.problems), found)
                self.assertIn("answered another answer, not goes on", found.problems)
            finally:
                await town.stop()
        asyncio.run(attack())

    def test_names_are_there_once_and_enough_of_them(self):
        names = [a.name for a in ATTACKS]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreaterEqual(sum(not a.bridge for a in ATTACKS), 60)
        self.assertGreaterEqual(sum(bool(a.bridge) for a in ATTACKS), 30)

    def test_table_keeps_what_was_not_run(self):
        text = TABLE.read_text()
        self.assertEqual(set(rows(text)), {a.name for a in ATTACKS})
        again = table(text, {}, {ATTACKS[0].name: Verdict(["2 lines lost"])})
        self.assertIn("2 lines lost", rows(again)[ATTACKS[0].name][1])
        self.assertEqual(rows(again)[ATTACKS[1].name], rows(text)[ATTACKS[1].name])


if __name__ == "__main__":
    unittest.main()
