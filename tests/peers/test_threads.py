#!/usr/bin/env python3
"""Everything that threads of mynahd do at once, under the thread sanitizer: build/tsan, or what $MYNAHD_TSAN names."""
import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, ROOT  # noqa: E402
from voice import connection, session, talk, tones  # noqa: E402
from voice_case import Certificate, VoiceCase, off_loop  # noqa: E402

MYNAHD = pathlib.Path(os.environ.get("MYNAHD_TSAN", ROOT / "build/tsan/bin/mynahd"))
CONFIG = f"""[limits]
max_connections_per_address = 500
[audio]
max_delay_ms = 1000
max_late_ms = 5000
[bridge.half]
type = "process"
command = ["python3", "{ROOT / "docs/examples/worker.py"}"]
[private]
bridge = "half"
[[room]]
name = "parrots-*"
bridge = "parrot"
[[room]]
name = "*"
"""


@unittest.skipUnless(MYNAHD.exists(), "cmake --preset tsan && cmake --build --preset tsan")
class Threads(VoiceCase):
    def program(self, name, *args):
        done = subprocess.run([MYNAHD.parents[1] / "tests" / name, *args], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("ThreadSanitizer", done.stderr)

    def test_rings_and_mailboxes(self):
        self.program("base.test_ring")

    def test_exchange(self):
        self.program("daemon.test_exchange")

    def test_registry(self):
        self.program("daemon.test_registry")

    def load(self, server, *args):
        return subprocess.Popen([MYNAHD.with_name("mynah"), "load", server.url, "--insecure", "--quiet", *args],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    async def guests(self, server, stop):
        """People who come, say something and go, in private rooms, in a parrot's, and in one for all."""
        for i in range(1000):
            if stop.is_set():
                return
            room = (None, f"parrots-{i % 3}", "all")[i % 3]
            async with session(server, room=room) as p:
                p.say("message", text="hello")
                await talk(p, tones(16000, (440, -20)), 0.2)

    async def questions(self, server, stop):
        while not stop.is_set():
            await off_loop(server.metrics)
            await off_loop(server.get, "/healthz")
            await off_loop(server.get, "/check?room=all")
            async with connection(server) as peer:
                await peer.until(lambda: peer.h3 and peer.h3.received_settings, 10, "SETTINGS")
                stream = peer.request("/certificate.sha256")
                await peer.until(lambda s=stream: s in peer.responses, 10, "a page")

    async def test_a_busy_server_with_three_shards(self):
        with Mynahd() as folder_of:
            cert = Certificate(folder_of.dir.name)
            with Mynahd(CONFIG, server="shards = 3\ndrain_ms = 300\n" + cert.config(), binary_path=str(MYNAHD),
                        env={"TSAN_OPTIONS": f"suppressions={ROOT}/tests/support/tsan.supp"}) as server:
                stop = asyncio.Event()
                load = self.load(server, "--sessions", "36", "--rooms", "9", "--ramp", "60", "--seconds", "6")
                others = [asyncio.create_task(c) for c in
                          (self.guests(server, stop), self.guests(server, stop), self.questions(server, stop))]
                for _ in range(4):
                    await asyncio.sleep(1.2)
                    cert = Certificate(folder_of.dir.name)
                    server.process.send_signal(signal.SIGHUP)
                    await off_loop(server.wait_for_hash, cert.sha256())
                out, _ = await off_loop(load.communicate)
                self.assertIn("36 opened, 0 failed, 0 lost", out)
                self.assertRegex(out, r"wrong room +0")
                stop.set()
                await asyncio.gather(*others)
                m = await off_loop(server.metrics)
                self.assertGreater(m["mynah_connections_moved_total"], 5)
                self.assertGreater(m["mynah_packets_forwarded_total"], 100)
                # told to stop while people are in all shards, and more are coming
                load = self.load(server, "--sessions", "40", "--rooms", "10", "--ramp", "40", "--seconds", "5")
                await asyncio.sleep(0.8)
                async with contextlib.AsyncExitStack() as stack:
                    for i in range(4):
                        await stack.enter_async_context(session(server, room=f"load-{i}"))
                    status = await off_loop(server.stop)
                    self.assertEqual(status, 0)
                load.kill()
                await off_loop(load.communicate)


if __name__ == "__main__":
    unittest.main()
