#!/usr/bin/env python3
"""The client among the documents does what its first lines say."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from mynahd import Mynahd  # noqa: E402

EXAMPLE = ROOT / "docs/examples/client.py"


def run(server, *query):
    return subprocess.run([sys.executable, EXAMPLE, "localhost", str(server.port), *query], capture_output=True, text=True, timeout=60)


class ClientExample(unittest.TestCase):
    def test_it_hears_an_echo_and_what_the_room_tells(self):
        with Mynahd('[[room]]\nname = "lab"\nbridge = "echo"\n') as server:
            done = run(server, "room=lab&name=Ann")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for said in ("'type': 'welcome'", "'name': 'Ann'", "'type': 'pong'", "'type': 'speaking'"):
                self.assertIn(said, done.stdout)
            self.assertGreater(float(re.search(r"heard ([\d.]+) s", done.stdout).group(1)), 1)

            refused = run(server, "room=other")
            self.assertEqual((refused.returncode, refused.stderr), (1, "refused: 404\n"))


if __name__ == "__main__":
    unittest.main()
