#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmarks run: few sessions, short, nothing asked of their speed; and what is made of figures."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench  # noqa: E402


def setUpModule():
    if not (bench.BIN / "caller").exists():
        raise unittest.SkipTest("cmake --preset bench && cmake --build --preset bench")


class Programs(unittest.TestCase):
    def check_echo(self, start, name):
        got = bench.measure_echo(name, start, 4, 0.5)
        self.assertEqual((got["opened"], got["failed"], got["lost"]), (4, 0, 0))
        self.assertGreater(got["heard"], 0)
        self.assertGreaterEqual(got["loss"], 0)
        self.assertGreater(got["us"], 0)

    def test_transport(self):
        self.check_echo(lambda: bench.Server(bench.BIN / "echo"), "transport")

    def test_floors(self):
        self.check_echo(lambda: bench.Server(bench.BIN / "floor", "server"), "floor")
        self.check_echo(lambda: bench.Server(bench.BIN / "floor", "server", "aead"), "sealed")

    def test_mynahd(self):
        self.check_echo(bench.Daemon, "mynahd")

    def test_aioquic(self):
        self.check_echo(bench.echo_servers()["aioquic"], "aioquic")

    def test_rooms(self):
        with bench.Daemon() as server:
            got = bench.drive(server, bench.BIN / "caller", "talk", server.port, 4, 0.5, 100, "room=4", "talkers=1")
        self.assertEqual(got["opened"], 4)
        self.assertGreater(got["received"], 0)

    def test_visits(self):
        with bench.Daemon() as server:
            got = bench.drive(server, bench.BIN / "caller", "visit", server.port, 20, 4)
            bench.wait_until_empty(server)
            self.assertEqual(server.daemon.metrics()["mynah_connections"], 0)
        self.assertEqual((got["opened"], got["failed"]), (20, 0))

    def test_a_client_without_a_server_is_an_error(self):
        with bench.Server(bench.BIN / "echo") as server:
            with self.assertRaises(RuntimeError):
                bench.drive(server, bench.BIN / "caller", "nonsense")

    def test_mixing(self):
        run = subprocess.run([bench.BIN / "mix", "0.2"], capture_output=True, text=True, check=True)
        rows = [bench.key_values(line) for line in run.stdout.splitlines()]
        full = [x for x in rows if x["what"] == "room" and x["talkers"] > 1]
        self.assertTrue(full)
        for row in full:
            self.assertAlmostEqual(row["frames_per_listener_s"], 50, delta=1)


class Figures(unittest.TestCase):
    def test_a_ratio_is_the_median_of_rounds(self):
        rounds = {100: {"a": [{"us": 10}, {"us": 30}, None, {"us": 90}], "b": [{"us": 10}, {"us": 10}, {"us": 1}, {"us": 10}]}}
        self.assertEqual(bench.ratio(rounds, 100, "a", "b"), 3)
        self.assertIsNone(bench.ratio(rounds, 50, "a", "b"))
        self.assertIsNone(bench.ratio(rounds, 100, "a", "c"))

    def test_goals(self):
        self.assertIn("| yes |", bench.at_most("x", 1.5, 1.5).row())
        self.assertIn("**no**", bench.at_most("x", 1.51, 1.5).row())
        self.assertIn("**no**", bench.at_least("x", 14.9, 15).row())
        self.assertIn("not measured | ? |", bench.at_least("x", None, 15).row())


if __name__ == "__main__":
    unittest.main()
