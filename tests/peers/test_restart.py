#!/usr/bin/env python3
"""A daemon that is killed and started again: how soon the calls that were open are back."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import wave

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, binary  # noqa: E402
from voice_case import Certificate  # noqa: E402

CALLS = 50
TALKERS = 10
RESTART_S = 1  # as the unit has it
MOST_S = 60    # far off what is measured, for machines that are busy: that it was a reset is told by the events
SILENCE_S = 600
CONFIG = f"[limits]\nmax_load_percent = 0\nmax_connections_per_address = {2 * CALLS}\n"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("0.0.0.0", 0))
        return s.getsockname()[1]


class Restart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mynah-restart-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.state = self.folder / "state"
        self.state.mkdir(0o700)

    def calls(self, stack, server, n, talkers, *args):
        """Calls that are open, by where they write their events."""
        hum = self.folder / "hum.wav"
        with wave.open(str(hum), "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(16000)
            w.writeframes(bytes(16000 * 2 * 120))
        mynah = pathlib.Path(binary()).with_name("mynah")
        calls = []
        for i in range(n):
            events = self.folder / f"events-{i}"
            says = ["--in", hum] if i < talkers else []
            with open(events, "wb") as out:
                process = subprocess.Popen([mynah, "call", server.url, "--insecure", "--json", "--room", f"den-{i % 10}", *says, *args],
                                           stdout=out, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)
            calls.append((process, events))
        server.wait_for_metric("mynah_sessions", n, 120)
        self.wait_for(calls, "welcome", 60)
        return calls

    @staticmethod
    def events(path, kind):
        lines = [json.loads(line) for line in path.read_text().splitlines(True) if line.startswith("{") and line.endswith("\n")]
        return [e for e in lines if e["type"] == kind]

    def wait_for(self, calls, kind, seconds):
        until = time.monotonic() + seconds
        while missing := [path for _, path in calls if not self.events(path, kind)]:
            if time.monotonic() > until:
                raise AssertionError(f"{len(missing)} calls without {kind}, one of them: {missing[0].read_text()[-600:]}")
            time.sleep(0.05)

    @staticmethod
    def crash(server):
        server.process.kill()
        server.process.wait()
        server.reader.join()
        server.process.stderr.close()
        server.process = None

    @contextlib.contextmanager
    def restarted(self, dead, *args, **kwargs):
        self.crash(dead)
        time.sleep(RESTART_S)
        with Mynahd(*args, port=dead.port, **kwargs) as again:
            yield again

    def all_are_back(self, calls, server):
        ready = time.monotonic()
        self.wait_for(calls, "back", MOST_S)
        took = time.monotonic() - ready
        for _, path in calls:
            self.assertRegex(self.events(path, "cut")[0]["text"], "has been restarted")
        gaps = sorted(self.events(path, "back")[0]["gap_ms"] for _, path in calls)
        print(f"{len(calls)} calls are back {took:.2f} s after the daemon; once they know, it takes {gaps[len(gaps) // 2]:.0f} ms, {gaps[-1]:.0f} at most",
              file=sys.stderr)
        server.wait_for_metric("mynah_sessions", len(calls), 60)
        self.assertGreaterEqual(server.metrics()['mynah_stateless_packets_total{kind="reset"}'], len(calls))

    def test_fifty_calls_are_back_at_once(self):
        env = {"STATE_DIRECTORY": str(self.state)}
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Mynahd(CONFIG, env=env))
            calls = self.calls(stack, server, CALLS, TALKERS, "--timeout", str(SILENCE_S))
            again = stack.enter_context(self.restarted(server, CONFIG, env=env))
            self.all_are_back(calls, again)
            for process, _ in calls:
                process.send_signal(signal.SIGINT)
            for process, path in calls:
                self.assertEqual(process.wait(30), 0, path.read_text()[-600:])
                self.assertEqual(self.events(path, "end")[0]["cuts"], 1)
        self.assertEqual([p.name for p in self.state.iterdir()], ["reset-secret"])

    def test_certificate_of_ones_own_is_enough(self):
        cert = Certificate(self.folder)
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Mynahd(server=cert.config(), port=free_port()))  # the secret is that of the port configured
            calls = self.calls(stack, server, 3, 3, "--timeout", str(SILENCE_S))
            again = stack.enter_context(self.restarted(server, server=cert.config()))
            self.all_are_back(calls, again)

    def test_another_secret_is_of_no_use(self):
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Mynahd())
            calls = self.calls(stack, server, 1, 1, "--timeout", "3", "--once")
            stack.enter_context(self.restarted(server))
            self.assertEqual(calls[0][0].wait(60), 4)
            self.assertIn("gone silent", calls[0][1].read_text())

    def test_without_a_server_it_gives_up_or_is_interrupted(self):
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Mynahd())
            calls = self.calls(stack, server, 2, 0, "--timeout", "3")
            self.crash(server)
            self.wait_for(calls, "cut", 60)
            calls[0][0].send_signal(signal.SIGINT)
            self.assertEqual([process.wait(60) for process, _ in calls], [0, 4])
            self.assertIn("gone silent", calls[1][1].read_text())


if __name__ == "__main__":
    unittest.main()
