#!/usr/bin/env python3
"""The command mynah against the real daemon: what it says, hears, measures, and how it ends."""
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import wave

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, binary  # noqa: E402
from voice_case import PATIENT  # noqa: E402

ECHO = PATIENT + '[private]\nbridge = "echo"\n'


def mynah():
    return os.environ.get("MYNAH") or str(pathlib.Path(binary()).with_name("mynah"))


def run(*args, seconds=60, **kwargs):
    """(status, stdout, stderr) of a command that ends by itself."""
    done = subprocess.run([mynah(), *map(str, args)], capture_output=True, timeout=seconds, **kwargs)
    out, err = done.stdout, done.stderr.decode(errors="replace")
    if "Sanitizer" in err or "runtime error" in err:
        raise AssertionError(err)
    return done.returncode, out, err


def lines(out):
    return [json.loads(line) for line in out.decode().splitlines()]


def sine(rate, seconds, hz=440, dbfs=-20):
    x = np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return np.round(x * 32768 * 2 ** 0.5 * 10 ** (dbfs / 20)).astype("<i2")


def level(x):
    x = x.astype(float)
    return 20 * np.log10(max(np.sqrt((x * x).mean()), 1e-3) / 32768) if len(x) else -200.0


def loudest(x, rate, seconds):
    """The level of the loudest stretch of that length, wherever it is."""
    n, step = int(rate * seconds), rate // 50
    return max((level(x[i:i + n]) for i in range(0, len(x) - n + 1, step)), default=-200.0)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mynah-test-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return pathlib.Path(self.folder.name) / name

    def wav(self, name, rate, samples, channels=1):
        with wave.open(str(self.path(name)), "wb") as w:
            w.setnchannels(channels)
            w.setsampwidth(2)
            w.setframerate(rate)
            w.writeframes(np.repeat(samples, channels).tobytes())
        return self.path(name)

    def heard(self, name):
        with wave.open(str(self.path(name)), "rb") as w:
            rate, n = w.getframerate(), w.getnframes()
            x = np.frombuffer(w.readframes(n), "<i2")
        self.assertEqual(len(x), n, "the header tells another length than the file has")
        return rate, x

    def again(self, attempt, times=4):
        """A busy machine is heard, too; a fault of ours is there every time."""
        for _ in range(times - 1):
            try:
                return attempt()
            except AssertionError:
                time.sleep(0.3)
        return attempt()


class CommandLine(Folder):
    def test_help_and_version(self):
        for args, word in (["--help"], "mynah call"), (["-h"], "mynah load"), (["call", "--help"], "--linger"), \
                (["load", "--help"], "--talkers"):
            status, out, err = run(*args)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(word, out.decode())
        self.assertRegex(run("--version")[1].decode(), r"^mynah \d+\.\d+\.\d+\S*\n$")

    def test_wrong_usage_is_explained_and_exits_with_2(self):
        url = "https://localhost:4433"
        for args, pattern in [
                ([], "usage"), (["sing"], 'what is "sing"'), (["call"], "one URL"), (["call", url, url], "one URL"),
                (["call", "http://localhost"], "https://"), (["call", url + ":x"], "port"),
                (["call", url, "--frames", "x"], "legacy or v1"), (["call", url, "--seconds"], "mynah call: option"),
                (["call", url, "--rate", "7999"], "8000 to 48000"), (["call", url, "--seconds", "long"], "--seconds"),
                (["call", url, "--cert-sha256", "abc"], "64 hex"), (["call", url, "--nonsense"], "usage"),
                (["call", url, "--in", "/nowhere/x.wav"], "No such file"),
                (["call", url, "--in", __file__], "not a WAV file"),
                (["call", url, "--out", "/nowhere/x.wav"], "No such file"),
                (["load"], "one URL"), (["load", url, "--sessions", "0"], "--sessions"),
                (["load", url, "--talkers", "1.1"], "--talkers"), (["load", url, "--sessions", "2", "--rooms", "3"], "--rooms"),
                (["load", url, "--seconds", "100000"], "--seconds")]:
            with self.subTest(args=args):
                status, out, err = run(*args)
                self.assertEqual((status, out), (2, b""), err)
                self.assertRegex(err, pattern)


class Call(Folder):
    def test_an_echo_has_the_level_and_length_of_what_was_said(self):
        with Mynahd(ECHO) as server:
            for rate, hear, channels in (16000, 16000, 1), (44100, 48000, 2), (8000, 24000, 1), (12345, 16000, 1), \
                    (16000, 11025, 1), (22050, 22050, 1), (11025, 12345, 1):
                wav = self.wav("in.wav", rate, sine(rate, 2), channels)

                def attempt():
                    status, out, err = run("call", server.url, "--insecure", "--in", wav, "--out", self.path("out.wav"),
                                           "--rate", hear, "--linger", 1.5)
                    self.assertEqual((status, err), (0, ""))
                    self.assertIn("echo (bridge)", out.decode())
                    got, x = self.heard("out.wav")
                    self.assertEqual(got, hear)
                    self.assertAlmostEqual(loudest(x, hear, 1), -20, delta=0.3)
                    loud = np.abs(x.astype(int)) > 1000
                    seconds = (np.flatnonzero(loud)[-1] - np.flatnonzero(loud)[0]) / hear
                    self.assertAlmostEqual(seconds, 2, delta=0.1)
                    crossings = np.count_nonzero(np.diff(np.signbit(x[loud.argmax():][:hear])))
                    self.assertAlmostEqual(crossings, 880, delta=10)
                with self.subTest(rate=rate, hear=hear):
                    self.again(attempt)

    def test_numbered_frames(self):
        with Mynahd(ECHO) as server:
            for rate, frames in (16000, 101), (48000, 201), (22050, 101):  # 48 kHz travels in two pieces
                wav = self.wav("in.wav", rate, sine(rate, 2.01))

                def attempt():
                    status, out, err = run("call", server.url, "--insecure", "--in", wav, "--out", self.path("out.wav"),
                                           "--rate", rate, "--linger", 1.5, "--frames", "v1", "--json")
                    self.assertEqual((status, err), (0, ""))
                    said = lines(out)
                    self.assertEqual(said[0]["frames"], "v1")
                    end = said[-1]
                    self.assertEqual(end["frames_said"], frames)
                    self.assertEqual((end["frames_lost"], end["flushes"]), (0, 0), end)
                    self.assertLessEqual(end["concealed"], 4)  # where nothing tells of the end
                    self.assertFalse([line for line in said if line["type"] in ("warning", "error")])
                    got, x = self.heard("out.wav")
                    self.assertEqual(got, rate)
                    self.assertAlmostEqual(loudest(x, rate, 1), -20, delta=0.3)
                with self.subTest(rate=rate):
                    self.again(attempt)

    def test_a_flush_silences_the_sound(self):
        tone = '[private]\nbridge = "whistle"\n[bridge.whistle]\ntype = "tone"\nbarge_in = "immediate"\n'
        with Mynahd(tone) as server:
            quiet, loud = np.zeros(16000, "<i2"), sine(16000, 1, dbfs=-6)
            wav = self.wav("in.wav", 16000, np.concatenate([quiet, loud]))
            for frames in "v1", "legacy":
                def attempt():
                    status, out, err = run("call", server.url, "--insecure", "--in", wav, "--out", self.path("out.wav"),
                                           "--linger", 0, "--frames", frames, "--json")
                    self.assertEqual((status, err), (0, ""))
                    self.assertEqual([line["epoch"] for line in lines(out) if line["type"] == "flush"], [1])
                    self.assertEqual(lines(out)[-1]["flushes"], 1)
                    rate, x = self.heard("out.wav")
                    self.assertGreater(level(x[rate // 2:rate]), -40)
                    self.assertLess(level(x[int(1.3 * rate):int(1.9 * rate)]), -60)
                with self.subTest(frames=frames):
                    self.again(attempt)

    def test_raw_samples_through_pipes(self):
        with Mynahd(ECHO) as server:
            def attempt():
                status, out, err = run("call", server.url, "--insecure", "--in", "-", "--out", "-", "--rate", 24000,
                                       "--linger", 1, input=sine(24000, 1.5).tobytes())
                self.assertEqual(status, 0, err)
                x = np.frombuffer(out, "<i2")
                self.assertAlmostEqual(loudest(x, 24000, 1), -20, delta=0.3)
                self.assertAlmostEqual(len(x) / 24000, 2.5, delta=0.3)
                self.assertIn("private room", err)
            self.again(attempt)

    def test_the_parrot_answers(self):
        with Mynahd(PATIENT) as server:
            wav = self.wav("in.wav", 16000, sine(16000, 1.2))

            def attempt():
                status, out, err = run("call", server.url, "--insecure", "--in", wav, "--out", self.path("out.wav"),
                                       "--linger", 4, "--name", "Ann")
                self.assertEqual(status, 0, err)
                self.assertIn("you are Ann in a private room", out.decode())
                self.assertIn("parrot speaks", out.decode())
                rate, x = self.heard("out.wav")
                self.assertAlmostEqual(loudest(x, rate, 0.8), -20, delta=0.5)
                self.assertLess(level(x[:rate]), -80)  # it waits for the end of the speech
            self.again(attempt)

    def test_events_of_a_room_as_json(self):
        with Mynahd() as server:
            args = [mynah(), "call", server.url, "--insecure", "--json", "--room", "lobby"]
            with subprocess.Popen([*args, "--name", "Ann"], stdout=subprocess.PIPE) as ann:
                self.assertEqual(json.loads(ann.stdout.readline())["type"], "welcome")
                status, out, err = run("call", server.url, "--insecure", "--json", "--room", "lobby", "--name", "B\u00f6b",
                                       "--mute", "--message", 'hi "all"', "--seconds", 1.2)
                self.assertEqual((status, err), (0, ""))
                ann.send_signal(signal.SIGINT)
                ann_lines = lines(ann.stdout.read())
                self.assertEqual(ann.wait(10), 0)
            bob_lines = lines(out)
        kinds = [line["type"] for line in ann_lines]
        self.assertLess(kinds.index("joined"), kinds.index("message"))
        self.assertLess(kinds.index("message"), kinds.index("left"))
        message = ann_lines[kinds.index("message")]
        self.assertEqual(message["text"], 'hi "all"')
        self.assertEqual(ann_lines[kinds.index("joined")]["participant"]["name"], "B\u00f6b")
        self.assertEqual(ann_lines[kinds.index("mute")]["muted"], True)
        self.assertEqual(ann_lines[kinds.index("left")]["reason"], "closed")
        self.assertEqual(bob_lines[0]["room"], "lobby")
        self.assertEqual(bob_lines[-1]["type"], "end")
        self.assertEqual(bob_lines[-1]["end"], "ended")
        self.assertEqual(bob_lines[-1]["frames_said"], 0)
        self.assertTrue(any(line["type"] == "figures" and 0 < line["rtt_ms"] < 1000 for line in bob_lines))
        self.assertNotIn("pong", kinds)

    def test_control_characters_in_names_do_not_reach_the_terminal(self):
        with Mynahd() as server:
            for name in "\x1b[31mred", "\u009b31mred":
                status, out, err = run("call", server.url, "--insecure", "--room", "x", "--name", name, "--seconds", 0.5)
                self.assertNotIn(b"\x1b", out + err.encode())
                self.assertNotIn("\u009b".encode(), out)

    def test_the_status_line_fits_the_terminal(self):
        """What wraps cannot be wiped, and fills the screen once a second."""
        with Mynahd(ECHO) as server:
            for command, columns in (("call", 40), ("call", 80), ("load", 40)):
                terminal, line = pty.openpty()
                fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                with subprocess.Popen([mynah(), command, server.url, "--insecure", "--seconds", "2.1"], stderr=line,
                                      stdout=subprocess.DEVNULL) as process:
                    self.assertEqual(process.wait(20), 0)
                os.close(line)
                shown = os.read(terminal, 65536).decode()
                os.close(terminal)
                pieces = shown.split("\r\x1b[K")
                self.assertGreater(len(pieces), 2)
                self.assertLess(max(map(len, pieces)), columns, pieces)
                if columns == 80:
                    self.assertRegex(pieces[-2], r"^0:0\d  said .* heard .* rtt .* ms  buffer \d+ ms  lost 0$")

    def test_refusals_are_1_and_say_why(self):
        with Mynahd('[[room]]\nname = "team-*"\nmax_participants = 1\n') as server:
            status, out, err = run("call", server.url, "--insecure", "--room", "other", "--json")
            self.assertEqual(status, 1)
            self.assertRegex(err, r"refused \(404\): \w+")
            self.assertEqual((lines(out)[-1]["end"], lines(out)[-1]["status"]), ("refused", 404))
            status, out, err = run("call", server.url + "/nowhere", "--insecure")
            self.assertEqual(status, 1)
            self.assertRegex(err, r"refused \(404\): \w+")
            with subprocess.Popen([mynah(), "call", server.url, "--insecure", "--room", "team-1"], stdout=subprocess.PIPE) as one:
                one.stdout.readline()
                status, out, err = run("call", server.url, "--insecure", "--room", "team-1")
                self.assertEqual(status, 1)
                self.assertRegex(err, r"refused \(503\): .*full")
                one.send_signal(signal.SIGTERM)
                self.assertEqual(one.wait(10), 0)

    def test_certificates(self):
        with Mynahd() as server:
            right = server.hashes()[0]
            colons = ":".join(re.findall("..", right.upper()))
            for args, wanted in ((["--cert-sha256", right], 0), (["--cert-sha256", colons], 0), (["--insecure"], 0),
                                 (["--cert-sha256", "00" * 32], 3), (["--cert-sha256", "00" * 32, "--insecure"], 3),
                                 ([], 3)):
                with self.subTest(args=args):
                    status, out, err = run("call", server.url, "--seconds", 0.1, *args)
                    self.assertEqual(status, wanted, err)
                    if wanted:
                        self.assertIn("certificate was not accepted", err)

    def test_nobody_there_is_3_in_time(self):
        start = time.monotonic()
        for args in (["https://localhost:1"], ["https://127.0.0.1:1"], ["https://[::1]:1"]):
            status, out, err = run("call", *args, "--insecure", "--timeout", 0.7)
            self.assertEqual(status, 3, err)
            self.assertIn("no answer", err)
        status, out, err = run("call", "https://no-such-host.invalid", "--insecure")
        self.assertEqual(status, 3)
        self.assertIn("no-such-host.invalid", err)
        self.assertLess(time.monotonic() - start, 30)

    def test_either_address_of_localhost(self):
        for host in "127.0.0.1", "::1":
            try:
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
                    s.bind((host, 0))
            except OSError:
                continue  # no IPv6 here
            with Mynahd(server=f'host = "{host}"') as server:
                status, out, err = run("call", f"https://localhost:{server.port}/audio", "--insecure", "--seconds", 0.1)
                self.assertEqual(status, 0, err)

    def test_a_server_that_goes_is_4(self):
        with Mynahd() as server, subprocess.Popen(
                [mynah(), "call", server.url, "--insecure", "--json", "--room", "x"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True) as call:
            call.stdout.readline()
            server.stop()
            out, err = call.communicate(timeout=20)
        self.assertEqual(call.returncode, 4)
        self.assertIn("shutting down", err)
        end = json.loads(out.splitlines()[-1])
        self.assertEqual((end["end"], end["code"]), ("lost", 1))
        self.assertIn('"bye"', out)

    def test_a_server_that_is_silent_is_4_in_time(self):
        with Mynahd() as server:
            with subprocess.Popen([mynah(), "call", server.url, "--insecure", "--json", "--timeout", "2"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as call:
                call.stdout.readline()
                time.sleep(1)
                server.process.send_signal(signal.SIGSTOP)
                try:
                    out, err = call.communicate(timeout=20)
                finally:
                    server.process.send_signal(signal.SIGCONT)
            self.assertEqual(call.returncode, 4)
            self.assertIn("gone silent", err)
            self.assertLess(json.loads(out.splitlines()[-1])["seconds"], 8)

    def test_interrupted_it_says_goodbye_and_completes_the_file(self):
        with Mynahd(ECHO) as server:
            wav = self.wav("in.wav", 16000, sine(16000, 30))
            with subprocess.Popen([mynah(), "call", server.url, "--insecure", "--in", wav, "--out", self.path("out.wav")],
                                  stdout=subprocess.PIPE) as call:
                call.stdout.readline()
                time.sleep(2)
                call.send_signal(signal.SIGINT)
                self.assertEqual(call.wait(10), 0)
            rate, x = self.heard("out.wav")
            self.assertAlmostEqual(len(x) / rate, 2, delta=1)
            self.assertGreater(loudest(x, rate, 0.2), -21)
            server.wait_for_line(r"left end=\w+ code=0")
            server.wait_for_metric("mynah_sessions", 0)

    def test_standard_files_may_be_closed_or_full(self):
        with Mynahd(ECHO) as server, open("/dev/full", "wb") as full:
            for closed in (0,), (1,), (0, 1, 2):
                done = subprocess.run([mynah(), "call", server.url, "--insecure", "--seconds", "0.2"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=lambda: [os.close(fd) for fd in closed], timeout=20)
                self.assertEqual(done.returncode, 0)
            done = subprocess.run([mynah(), "call", server.url, "--insecure", "--out", "-", "--seconds", "5"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=20)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"could not be written", done.stderr)

    def test_a_listener_that_reads_no_longer_ends_it(self):
        with Mynahd(ECHO) as server:
            read, write = os.pipe()
            with subprocess.Popen([mynah(), "call", server.url, "--insecure", "--out", "-"], stdout=write,
                                  stderr=subprocess.DEVNULL) as call:
                os.close(write)
                self.assertTrue(os.read(read, 100))
                os.close(read)
                self.assertEqual(call.wait(10), 0)


class Load(Folder):
    def load(self, server, *args):
        status, out, err = run("load", server.url, "--insecure", "--json", *args)
        return status, json.loads(out) if out else None, err

    def test_twenty_sessions_hear_their_own_rooms_and_all_of_it(self):
        with Mynahd(PATIENT) as server:
            def attempt():
                status, r, err = self.load(server, "--sessions", 20, "--rooms", 5, "--seconds", 3)
                self.assertEqual((status, err), (0, ""))
                self.assertEqual((r["opened"], r["failed"], r["lost_sessions"], r["talkers"]), (20, 0, 0, 5))
                self.assertEqual((r["wrong_room"], r["own_voice"], r["foreign"], r["duplicates"]), (0, 0, 0, 0))
                self.assertEqual((r["gaps"], r["marks_lost"]), (0, 0), r)
                self.assertAlmostEqual(r["marks_expected"], 5 * 3 * 3 * 50, delta=100)
                self.assertAlmostEqual(r["frames_sent"], 5 * 3 * 50, delta=20)
                self.assertGreaterEqual(r["delay_ms"]["p50"], 100)  # PATIENT holds back that much
                self.assertEqual(r["delay_ms"]["count"], r["marks_heard"])
                self.assertLessEqual(r["delay_ms"]["p50"], r["delay_ms"]["p99"])
                self.assertEqual(r["join_ms"]["count"], 20)
                self.assertGreater(r["round_trip_ms"]["count"], 20)
                self.assertEqual(r["server"]["pid"], server.process.pid)
                self.assertGreater(r["server"]["rss_bytes"], 1e6)
                self.assertGreater(r["server"]["cpu_us"], 100)
            self.again(attempt)
            server.wait_for_metric("mynah_sessions", 0)

    def test_talkers_of_one_room_are_told_apart(self):
        with Mynahd(PATIENT) as server:
            def attempt():
                status, r, err = self.load(server, "--sessions", 8, "--rooms", 2, "--talkers", 1, "--seconds", 3)
                self.assertEqual((status, err), (0, ""))
                self.assertEqual((r["wrong_room"], r["own_voice"], r["duplicates"]), (0, 0, 0))
                self.assertEqual((r["gaps"], r["marks_lost"]), (0, 0), r)
                self.assertAlmostEqual(r["marks_expected"], 8 * 3 * 3 * 50 / 12, delta=40)
            self.again(attempt)

    def test_an_echo_is_told_from_a_wrong_room(self):
        with Mynahd(PATIENT + '[[room]]\nname = "*"\nbridge = "echo"\n') as server:
            status, r, err = self.load(server, "--sessions", 4, "--rooms", 4, "--talkers", 1, "--seconds", 1)
            self.assertEqual(status, 0, err)
            self.assertGreater(r["own_voice"], 50)
            self.assertEqual((r["wrong_room"], r["foreign"]), (0, 0))

    def test_another_load_in_the_same_room_is_foreign(self):
        with Mynahd(PATIENT) as server:
            args = "--room", "same", "--sessions", 1, "--rooms", 1, "--talkers", 1
            other = threading.Thread(target=self.load, args=(server, *args, "--seconds", 4))
            other.start()
            time.sleep(0.3)
            status, r, err = self.load(server, "--room", "same", "--sessions", 1, "--rooms", 1, "--talkers", 0, "--seconds", 1)
            other.join()
            self.assertGreater(r["foreign"], 10)

    def test_refused_sessions_are_counted(self):
        with Mynahd('[[room]]\nname = "*"\nmax_participants = 2\n') as server:
            status, r, err = self.load(server, "--sessions", 5, "--rooms", 1, "--talkers", 0, "--seconds", 0.5)
            self.assertEqual(status, 1)
            self.assertEqual((r["opened"], r["failed"]), (2, 3))
            self.assertRegex(r["why"], "503 .*full")

    def test_ends_by_itself_when_there_is_nobody(self):
        status, r, err = self.load(type("Nobody", (), {"url": "https://127.0.0.1:1"}), "--timeout", 0.7)
        self.assertEqual((status, r), (3, None))
        self.assertIn("no answer", err)
        with Mynahd() as server:
            status, out, err = run("load", server.url, "--seconds", 1)
            self.assertEqual(status, 3)
            self.assertIn("certificate was not accepted", err)
            status, out, err = run("load", server.url + "/nowhere", "--insecure")
            self.assertEqual(status, 1)
            self.assertIn("404", err)

    def test_interrupted_it_reports_what_there_is(self):
        with Mynahd() as server:
            with subprocess.Popen([mynah(), "load", server.url, "--insecure", "--seconds", "60"], stdout=subprocess.PIPE,
                                  text=True) as load:
                server.wait_for_metric("mynah_sessions", 20)
                time.sleep(4)
                load.send_signal(signal.SIGINT)
                out = load.communicate(timeout=10)[0]
                self.assertEqual(load.returncode, 0)
            self.assertIn("20 opened, 0 failed, 0 lost", out)
            self.assertRegex(out, r"wrong room +0")
            server.wait_for_metric("mynah_sessions", 0)

    def test_interrupted_while_sessions_open_nothing_has_failed(self):
        with Mynahd() as server:
            with subprocess.Popen([mynah(), "load", server.url, "--insecure", "--sessions", "400", "--ramp", "100000"],
                                  stdout=subprocess.PIPE, text=True) as load:
                server.wait_for_line('name="load-')
                load.send_signal(signal.SIGINT)
                out = load.communicate(timeout=10)[0]
                self.assertEqual(load.returncode, 0)
            self.assertIn(", 0 failed, 0 lost", out)

    def test_a_server_that_goes_ends_it_with_4(self):
        with Mynahd() as server, subprocess.Popen(
                [mynah(), "load", server.url, "--insecure", "--seconds", "60", "--json"], stdout=subprocess.PIPE,
                text=True) as load:
            server.wait_for_metric("mynah_sessions", 20)
            server.stop()
            out = load.communicate(timeout=20)[0]
            self.assertEqual(load.returncode, 4)
        self.assertEqual(json.loads(out)["lost_sessions"], 20)


if __name__ == "__main__":
    unittest.main()
