#!/usr/bin/env python3
"""A machine that stands still for a while, and a thread that does so for good: what the service manager is told of either."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, binary  # noqa: E402

WATCHDOG_S = 10  # as packaging/mynahd.service has it
SESSIONS = 50
CONFIG = f"[limits]\nmax_load_percent = 0\nmax_connections_per_address = {2 * SESSIONS}\n"


class Manager:
    """The end of systemd: a socket, and when something came out of it."""

    def __init__(self, folder, watchdog_s=WATCHDOG_S):
        self.path = os.path.join(folder, "notify")
        self.env = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        self.got = []  # (time, line)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.1)
        self.open = True
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while self.open:
            with contextlib.suppress(TimeoutError):
                for line in self.socket.recv(4096).decode().split("\n"):
                    self.got.append((time.monotonic(), line))

    def close(self):
        self.open = False
        self.thread.join()
        self.socket.close()

    def times(self, line, since=0.0):
        return [at for at, got in list(self.got) if got == line and at >= since]

    def wait_for(self, line, since, seconds):
        """When it came, at the latest `seconds` after `since`."""
        while time.monotonic() < since + seconds:
            if times := self.times(line, since):
                return times[0]
            time.sleep(0.02)
        raise AssertionError(f"no {line} within {seconds} s: {[(round(at - since, 2), got) for at, got in self.got]}")

    def longest_gap(self, begin, end):
        fed = [begin, *(at for at in self.times("WATCHDOG=1") if begin < at < end), end]
        return max(b - a for a, b in zip(fed, fed[1:]))


@contextlib.contextmanager
def service(config="", server="shards = 2", watchdog_s=WATCHDOG_S):
    with tempfile.TemporaryDirectory() as folder:
        manager = Manager(folder, watchdog_s)
        try:
            with Mynahd(config, server=server, env=manager.env) as daemon:
                yield daemon, manager
        finally:
            manager.close()


@contextlib.contextmanager
def crowd(daemon):
    """50 sessions, of which 25 talk; then their report."""
    mynah = pathlib.Path(binary()).with_name("mynah")
    with subprocess.Popen([mynah, "load", daemon.url, "--insecure", "--json", "--quiet", "--sessions", str(SESSIONS), "--talkers", "0.5",
                           "--seconds", "120", "--timeout", "20"], stdout=subprocess.PIPE, text=True) as load:
        try:
            daemon.wait_for_metric("mynah_sessions", SESSIONS, 120)
            report = {}
            yield load, report
            load.send_signal(signal.SIGINT)
            report.update(json.loads(load.communicate(timeout=20)[0]))
        finally:
            load.kill()


def pause(seconds, *processes):
    for p in processes:
        p.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    for p in processes:
        p.send_signal(signal.SIGCONT)


class Pauses(unittest.TestCase):
    def assert_alive(self, daemon, manager, report, began, longest_s):
        self.assertEqual((report["opened"], report["lost_sessions"], report["failed"]), (SESSIONS, 0, 0), report)
        self.assertEqual(manager.times("WATCHDOG=trigger"), [])
        gap = manager.longest_gap(began, time.monotonic())
        print(f"fed after {gap:.1f} s at the latest", file=sys.stderr)
        self.assertLess(gap, longest_s)

    def test_machine_pauses_again_and_again(self):
        with service(CONFIG) as (daemon, manager), crowd(daemon) as (load, report):
            began = time.monotonic()
            while time.monotonic() < began + 14:
                pause(1.5, daemon.process)
                time.sleep(0.5)
        self.assert_alive(daemon, manager, report, began, 8)

    def test_machine_pauses_for_three_seconds(self):
        with service(CONFIG) as (daemon, manager), crowd(daemon) as (load, report):
            began = time.monotonic()
            pause(3, daemon.process, load)
            time.sleep(2)
            daemon.wait_for_metric("mynah_sessions", SESSIONS)
        self.assert_alive(daemon, manager, report, began, 8)


class Frozen:
    """One thread of a process, stopped by ptrace(2), which unlike a signal stops no other. For the thread that made it."""
    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, tid):
        self.tid = tid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self.libc.ptrace.restype = ctypes.c_long

    def __enter__(self):
        if self.libc.ptrace(self.SEIZE, self.tid, None, None) < 0:
            raise unittest.SkipTest(f"ptrace: {os.strerror(ctypes.get_errno())}")
        self.libc.ptrace(self.INTERRUPT, self.tid, None, None)
        os.waitpid(self.tid, self.WALL)

    def __exit__(self, *exc):
        self.libc.ptrace(self.DETACH, self.tid, None, None)


def thread_of(process, name):
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"no thread {name}")


class Hang(unittest.TestCase):
    def test_thread_hangs_for_good(self):
        """A shard that has nothing to do hangs as well as any other: the next session would be its."""
        with service(watchdog_s=4) as (daemon, manager):
            manager.wait_for("WATCHDOG=1", 0, 1e9)
            with Frozen(thread_of(daemon.process, "mynahd/1")):
                began = time.monotonic()
                asked = manager.wait_for("WATCHDOG=trigger", began, 20) - began
                fed = manager.times("WATCHDOG=1", began)
                self.assertEqual(daemon.get("/healthz", ok=False)[0], 503)
                print(f"a restart is asked for after {asked:.1f} s", file=sys.stderr)
                self.assertLess(len(fed), 3)  # of the look or two that still saw it turn
                daemon.wait_for_line("shard=1 stuck")
            manager.wait_for("WATCHDOG=1", time.monotonic(), 20)
            daemon.wait_for_line("shard=1 turns again")
            self.assertEqual(daemon.get("/healthz")[0], 200)

    def test_main_hangs_for_good(self):
        with service(watchdog_s=4) as (daemon, manager):
            manager.wait_for("WATCHDOG=1", 0, 1e9)
            with Frozen(daemon.process.pid):
                began = time.monotonic() + 0.2  # what is in the socket is older
                time.sleep(2)
                self.assertEqual(manager.times("WATCHDOG=1", began), [])
            manager.wait_for("WATCHDOG=1", time.monotonic(), 20)


if __name__ == "__main__":
    unittest.main()
