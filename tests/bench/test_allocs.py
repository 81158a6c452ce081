#!/usr/bin/env python3
"""Nothing is allocated and nothing locked for a packet; what a session holds stays within the budget."""
import os
import pathlib
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
ALLOCS = pathlib.Path(os.environ.get("MYNAH_BENCH_BUILD", TOP / "build" / "bench")) / "bin" / "allocs"


def allocs(*args):
    run = subprocess.run([ALLOCS, *args], capture_output=True, text=True, timeout=120)
    if run.returncode:
        raise RuntimeError(f"allocs: exit status {run.returncode}\n{run.stdout}{run.stderr}")
    lines = run.stdout.splitlines()
    counts = {k: int(v) for k, eq, v in (line.partition("=") for line in lines if not line.startswith("by "))}
    return counts, [line for line in lines if line.startswith("by ")]


class Allocs(unittest.TestCase):
    def steady(self, what):
        counts, by = allocs(what, "20", "20")
        self.assertGreater(counts["in"], 19000)
        self.assertGreater(counts["out"], 19000)
        self.assertEqual((counts["allocs"], counts["frees"]), (0, 0), "\n" + "\n".join(by))
        self.assertEqual(counts["locks"], 0)

    def test_rooms_of_two_allocate_nothing(self):
        self.steady("pairs")

    def test_echo_allocates_nothing(self):
        self.steady("echo")

    def test_a_session_fits_its_budget(self):
        """Heap, of which the resident size is a little less: untouched pages of the playout buffer."""
        counts, by = allocs("memory", "100")
        top = "\n".join(sorted(by, key=lambda line: -int(line.split()[2]))[:20])
        self.assertGreater(counts["idle"], 20000, "nothing was counted")
        self.assertLess(counts["idle"], 76000, "\n" + top)
        self.assertLess(counts["talking"], 130000)


if __name__ == "__main__":
    unittest.main()
