#!/usr/bin/env python3
"""The unit as it is installed, under a real systemd: a machine in User-Mode Linux boots on this machine's files (tests/machine/boot.py), does to the
service what operators and accidents do (tests/machine/guest.py), and ends. It takes Debian's User-Mode Linux, installed or named by $MYNAH_UML
(scripts/fetch-uml), and a build without sanitizers, since they want more addresses than such a machine has."""
# Runs alone: it has a watchdog that counts seconds.
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "support"))
from voice_case import Certificate  # noqa: E402

BOOT = TOP / "tests" / "machine" / "boot.py"
UML = os.environ.get("MYNAH_UML") or shutil.which("linux.uml")
BUILDS = [TOP / "build", TOP / "build" / "bench"]
NOT_NEEDED = ("ldconfig.service", "systemd-modules-load.service", "systemd-random-seed.service", "systemd-sysusers.service", "systemd-journal-flush.service",
              "systemd-journal-catalog-update.service", "systemd-udevd.service", "systemd-udev-trigger.service", "tmp.mount")


def modules():
    """Of its kernel; None if they are not beside it."""
    found = sorted(pathlib.Path(UML).resolve().parents[1].glob("lib/uml/modules/*"))
    return found[-1] if found else None


def why_not():
    if not UML:
        return "User-Mode Linux is not installed, and MYNAH_UML names none (scripts/fetch-uml)"
    if not modules():
        return f"the modules of {UML} are not installed beside it"
    if not any((build / "bin" / "mynahd").exists() for build in BUILDS):
        return "there is no build without sanitizers"
    return None


def install(folder):
    build = next(b for b in BUILDS if (b / "bin" / "mynahd").exists())
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], env={**os.environ, "DESTDIR": str(folder / "install")}, check=True,
                   stdout=subprocess.DEVNULL)


def take_place():
    """A system call of the machine is a few switches between processes: on one processor they are cheap, and others must not come between."""
    os.setsid()
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except PermissionError:
        pass


def boot(folder, seconds):
    """What stood on the console."""
    command = [UML, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={BOOT}", "con=null", "con0=null,fd:1", "ssl=null",
               f"uml_dir={folder}/", f"mynah_folder={folder}", f"mynah_modules={modules()}", "systemd.unit=mynah-test.target",
               "systemd.condition_needs_update=no", *(f"systemd.mask={unit}" for unit in NOT_NEEDED), "systemd.show_status=0", "quiet"]
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               preexec_fn=take_place)
    try:
        return machine.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(machine.pid, signal.SIGKILL)
        return machine.communicate()[0] + f"\nnot over within {seconds} s"


@unittest.skipIf(why_not(), why_not())
class Unit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="mynah-machine-")
        cls.addClassCleanup(folder.cleanup)
        path = pathlib.Path(folder.name)
        Certificate(path)
        install(path)
        began = time.monotonic()
        console = boot(path, 600)
        cls.facts = {}
        if (path / "facts").exists():
            for line in (path / "facts").read_text().splitlines():
                facts = json.loads(line)
                cls.facts[facts.pop("step")] = facts
        log = (path / "guest.log").read_text() if (path / "guest.log").exists() else ""
        cls.told = f"{console}\n{log}"
        if "-v" in sys.argv:
            took = ", ".join(f"{name} {facts['took']}" for name, facts in cls.facts.items())
            print(f"the machine ran for {time.monotonic() - began:.0f} s: {took}", file=sys.stderr)

    def step(self, name):
        facts = self.facts.get(name)
        self.assertIsNotNone(facts, f"the machine did not come to it:\n{self.told}")
        self.assertNotIn("error", facts, facts.get("error"))
        return facts

    def test_enable_now(self):
        got = self.step("enabled")
        self.assertEqual((got["status"], got["ActiveState"], got["SubState"], got["Type"], got["UnitFileState"]),
                         (0, "active", "running", "notify-reload", "enabled"), got)

    def test_the_sandbox_is_in_force(self):
        got = self.step("sandbox")
        self.assertEqual({int(got[key], 16) for key in ("CapEff", "CapBnd")}, {0})
        self.assertEqual((got["NoNewPrivs"], got["Seccomp"]), ("1", "2"))
        self.assertTrue(all(61184 <= int(uid) <= 65519 for uid in got["Uid"].split()), got)  # of DynamicUser=

    def test_the_parrot_answers_a_call(self):
        got = self.step("answered")
        self.assertEqual(got["status"], 0, got)
        self.assertGreater(got["audible"], 0.9)

    def test_a_pause_of_the_machine_is_survived(self):
        got = self.step("paused")
        self.assertEqual(got["before"], got["after"])
        self.assertEqual(got["call"]["status"], 0, got)

    def test_a_crash_is_restarted(self):
        got = self.step("killed")
        self.assertEqual(int(got["after"]["NRestarts"]), int(got["before"]["NRestarts"]) + 1)
        self.assertLess(got["seconds"], 30)

    def test_a_daemon_that_hangs_is_restarted(self):
        got = self.step("hung")
        self.assertEqual(int(got["after"]["NRestarts"]), int(got["before"]["NRestarts"]) + 1)
        self.assertIn("Watchdog timeout", got["journal"])
        self.assertLess(got["seconds"], 60)

    def test_a_reload_with_a_broken_file_says_so(self):
        got = self.step("reloaded")
        self.assertEqual([got[name]["status"] for name in ("restart", "good", "broken", "mended")], [0, 0, 0, 0], got)
        self.assertEqual((got["good"]["StatusText"], got["mended"]["StatusText"]), ("", ""))
        self.assertEqual(got["broken"]["StatusText"], "reload failed, the old certificate stays: /etc/mynah/cert.pem: is not PEM")
        self.assertEqual(len({got[name]["MainPID"] for name in ("good", "broken", "mended")}), 1)

    def test_a_missing_credential_is_told_in_the_documented_words(self):
        got = self.step("without_credential")
        self.assertNotEqual(got["status"], 0)
        documented = (TOP / "docs" / "operations.md").read_text()
        for words in "Failed to set up credentials: Protocol error", "status=243/CREDENTIALS":
            self.assertIn(words, got["journal"])
            self.assertIn(words, documented)
        self.assertEqual(got["mended"]["status"], 0, got)
        self.assertEqual(got["reload"]["status"], 0, got)
        self.assertRegex(got["reload"]["StatusText"], "a new credential takes a restart")

    def test_stop_with_calls(self):
        got = self.step("stopped")
        self.assertEqual((got["status"], got["ActiveState"], got["Result"]), (0, "inactive", "success"), got)
        self.assertLess(got["seconds"], 5)
        for call in got["calls"]:
            self.assertEqual(call["status"], 4, call)
            self.assertIn("the server closed the session (code 1): the server is shutting down", call["said"])


if __name__ == "__main__":
    unittest.main()
