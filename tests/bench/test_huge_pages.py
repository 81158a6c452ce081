#!/usr/bin/env python3
"""The heap of the daemon, in the environment that the unit gives it, is such that the kernel can back it with huge pages, and does."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "support"))
from mynahd import Mynahd  # noqa: E402

BIN = pathlib.Path(os.environ.get("MYNAH_BENCH_BUILD", TOP / "build" / "bench")) / "bin"
MODE = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
MB = 1024


def unit_environment():
    text = (TOP / "packaging" / "mynahd.service").read_text()
    return dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.M))


def mappings(pid):
    """(name, {"Size": kB, "AnonHugePages": kB, ...}) of each."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if head := re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)", line):
            found.append((head.group(2), head.group(1), {}))
        elif number := re.match(r"(\w+): +(\d+) kB", line):
            found[-1][2][number.group(1)] = int(number.group(2))
    return found


class HugePages(unittest.TestCase):
    def test_heaps_grow_in_steps_that_huge_pages_fit_into(self):
        with Mynahd("[limits]\nmax_connections_per_address = 1000\n", server="shards = 2", binary_path=str(BIN / "mynahd"),
                    env=unit_environment()) as server:
            subprocess.run([BIN / "mynah", "load", f"https://127.0.0.1:{server.port}", "--insecure", "--sessions", "100", "--talkers", "1",
                            "--seconds", "1", "--quiet"], check=True, stdout=subprocess.DEVNULL, timeout=120)
            maps = mappings(server.process.pid)
        heap = next(m for name, _, m in maps if name == "[heap]")
        shard = max((m for name, rights, m in maps if not name and rights == "rw-p"), key=lambda m: m["Size"])
        self.assertGreaterEqual(heap["Size"], 64 * MB)   # of main's thread
        self.assertGreaterEqual(shard["Size"], 60 * MB)  # the C library's largest for other threads, less where it begins
        if not MODE.exists() or "[never]" in MODE.read_text():
            self.skipTest("this kernel gives no huge pages")
        huge = sum(m["AnonHugePages"] for m in (heap, shard))
        self.assertGreater(huge, 0.6 * (heap["Rss"] + shard["Rss"]))


if __name__ == "__main__":
    unittest.main()
