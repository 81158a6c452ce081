#!/usr/bin/env python3
"""What a packet costs must not grow unnoticed: instructions of the shard by callgrind against gate.txt."""
import os
import pathlib
import platform
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import gate  # noqa: E402

BUILD = os.environ.get("MYNAH_BENCH_BUILD", str(gate.TOP / "build" / "bench"))
GROWTH = 0.02


class Gate(unittest.TestCase):
    def check(self, what):
        key = (platform.machine(), what)
        m = gate.measure(BUILD, what)
        print("\n" + "\n".join(m.lines(files=8)))
        old = gate.recorded().get(key)
        if old is None:
            self.skipTest(f"gate.txt has no figure for {what} on {key[0]}: record one with {self.how(what)}")
        self.assertLessEqual(
            m.gated, old * (1 + GROWTH),
            f"{what}: {m.gated:.0f} instructions where {old:.0f} are recorded. If they are worth it, run\n"
            f"    {self.how(what)}\nand commit tests/bench/gate.txt together with what needs them")
        if m.gated < old * (1 - GROWTH):
            print(f"{what} became cheaper: record it with {self.how(what)}")
        return m

    @staticmethod
    def how(what):
        return f"scripts/debian13 --for test python3 tests/bench/gate.py --record {what}"

    def test_rooms_of_two(self):
        m = self.check("pairs")
        self.assertAlmostEqual(m.counts["packets_out"] / m.counts["in"], 1, delta=0.02)  # no packet for an ACK alone

    def test_beside_a_silent_crowd(self):
        alone, beside = (gate.recorded().get((platform.machine(), what)) for what in ("pairs", "crowd"))
        m = self.check("crowd")
        if alone and beside:  # 200 keep-alives every ten seconds, but nothing that looks through all of them
            self.assertLess(m.gated, alone * 1.06, "idle sessions cost something for each packet of others")

    def test_echo(self):
        self.check("echo")

    def test_people_whose_clocks_drift(self):
        self.check("drift")

    def test_messages_to_a_hundred(self):
        self.check("relay")

    def test_handshakes(self):
        self.check("handshake")

    def test_handshakes_of_browsers(self):
        self.check("mlkem")


if __name__ == "__main__":
    unittest.main()
