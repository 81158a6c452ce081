#!/usr/bin/env python3
"""A client on Deno (Rust, quinn): one more implementation that has to agree. scripts/fetch-deno gets it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from mynahd import Mynahd  # noqa: E402


def deno():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    named = os.environ.get("MYNAH_DENO")
    for path in [pathlib.Path(named)] if named else sorted(cache.glob("mynah/deno-*/deno")):
        if os.access(path, os.X_OK):
            return str(path)
    return None


@unittest.skipUnless(deno(), "no Deno: scripts/fetch-deno gets it from the npm registry")
class Deno(unittest.TestCase):
    def visit(self, url, hash):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([deno(), "run", "--quiet", "--no-prompt", "--no-config", "--allow-net", "--unstable-net",
                                   str(HERE / "deno_client.mjs"), url, hash], capture_output=True, timeout=60, text=True,
                                  env={**os.environ, "DENO_DIR": folder, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"})
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

    def test_session_in_an_echo_room(self):
        with Mynahd('[private]\nbridge = "echo"\n') as server:
            got = self.visit(f"https://127.0.0.1:{server.port}/audio?name=Dino", server.hashes()[0])
            self.assertTrue(got["ok"], got)
            self.assertGreater(len(got["frames"]), 90)
            self.assertEqual({(length, rate) for length, rate, _ in got["frames"]}, {(642, 160)})
            self.assertGreater(len([x for _, _, x in got["frames"] if abs(x - 5000) < 50]), 80)
            self.assertEqual([line["type"] for line in got["lines"] if line["type"] in ("welcome", "pong")],
                             ["welcome", "pong"])
            self.assertEqual(got["lines"][0]["name"], "Dino")
            server.wait_for_line(r"left end=connection/peer code=5 ")  # it has no capsule
            server.wait_for_metric("mynah_connections", 0, 40)

    def test_refusal_and_wrong_hash(self):
        with Mynahd() as server:
            self.assertFalse(self.visit(f"https://127.0.0.1:{server.port}/nowhere", server.hashes()[0])["ok"])
            self.assertFalse(self.visit(f"https://127.0.0.1:{server.port}/audio", "00" * 32)["ok"])
            self.assertEqual(server.metrics()["mynah_sessions_opened_total"], 0)


if __name__ == "__main__":
    unittest.main()
