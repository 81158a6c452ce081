#!/usr/bin/env python3
"""mynahd as its operator sees it: command line, files that are wrong, ports that are taken, systemd, the log."""
import asyncio
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, binary  # noqa: E402
from voice import connection, session  # noqa: E402
from voice_case import Certificate, VoiceCase, off_loop  # noqa: E402


def run(*args, config=None, env=None):
    """A mynahd that is expected to end by itself: (status, stdout, stderr)."""
    with tempfile.TemporaryDirectory() as folder:
        args = list(args)
        if config is not None:
            path = pathlib.Path(folder) / "mynah.toml"
            path.write_text(config)
            args = [str(path) if a == "FILE" else a for a in args]
        done = subprocess.run([binary(), *args], capture_output=True, timeout=30, text=True, cwd=folder,
                              env={**os.environ, **(env or {})})
        return done.returncode, done.stdout, done.stderr


class CommandLine(unittest.TestCase):
    def test_help(self):
        for option in "--help", "-h":
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            for word in "--check-config", "--print-config", "--version", "SIGHUP", "-c":
                self.assertIn(word, out)

    def test_version(self):
        status, out, err = run("--version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^mynahd \d+\.\d+\.\d+\S*\n$")

    def test_wrong_command_lines(self):
        for args in (["--nonsense"], ["-c"], ["--check-config"], ["extra"], ["-x"]):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("usage: mynahd", err)

    def test_check_config(self):
        status, out, err = run("--check-config", "FILE", config="[server]\nport = 1234\n")
        self.assertEqual((status, err), (0, ""))
        for text, line in [("[server]\nprot = 1\n", ":2: server.prot: unknown key, did you mean server.port?"),
                           ("[audio]\n\nframe_ms = 15\n", ":3: audio.frame_ms = 15: use 10 or 20"),
                           ("[server\n", ":1: "), ("\xff", ":1: "), ('[private]\nbridge = "nobody"\n', ":2: ")]:
            status, out, err = run("--check-config", "FILE", config=text)
            self.assertEqual(status, 78, text)
            self.assertIn(line, err)
            self.assertEqual(err.count("\n"), 1, err)
        with tempfile.TemporaryDirectory() as folder:  # files that it names are opened
            cert = Certificate(folder)
            files = f'[server]\ncertificate = "{cert.cert_path}"\nprivate_key = "{cert.key_path}"\n'
            self.assertEqual(run("--check-config", "FILE", config=files)[0], 0)
            cert.key_path.unlink()
            status, out, err = run("--check-config", "FILE", config=files)
            self.assertEqual((status, out), (78, ""))
            self.assertRegex(err, r'mynah\.toml:3: server\.private_key = ".*": No such file or directory\n$')
        status, out, err = run("-c", "FILE", config="[server]\nprot = 1\n")
        self.assertEqual(status, 78)
        status, out, err = run("--check-config", "/nowhere/mynah.toml")
        self.assertEqual(status, 78)
        self.assertRegex(err, "/nowhere/mynah.toml.*No such file")

    def test_print_config_reads_back_as_itself(self):
        text = ('[server]\nport = 1234\norigins = ["https://a.example", "https://b.example:8443"]\n'
                '[[room]]\nname = "team-*"\nsample_rate = 48000\n[[room]]\nname = "lab \\"x\\" \\u00e4"\nbridge = "polly"\n'
                '[bridge.polly]\ntype = "parrot"\npause_ms = 400\n[log]\nformat = "json"\n')
        for config in text, "":
            status, first, err = run("--print-config", "-c", "FILE", config=config)
            self.assertEqual((status, err), (0, ""))
            status, second, err = run("--print-config", "-c", "FILE", config=first)
            self.assertEqual((status, err), (0, ""))
            self.assertEqual(first, second)
        self.assertEqual(run("--print-config")[1], first)


class Start(unittest.TestCase):
    def assert_refused(self, config, pattern):
        status, out, err = run("-c", "FILE", config=config)
        self.assertEqual(status, 1, err)
        lines = [line for line in err.splitlines() if re.search(r" (error|warn) ", line)]
        self.assertRegex(lines[0], pattern)  # one line says why
        for line in lines[1:]:
            self.assertRegex(line, " error not started: ")
        self.assertNotIn("Sanitizer", err)

    def test_ports_that_are_taken(self):
        with Mynahd() as server:
            http_port = server.page.rstrip("/").rsplit(":", 1)[1]
            self.assert_refused(f"[server]\nport = {server.port}\n[http]\nport = 0\n",
                                rf"cannot listen on 0\.0\.0\.0 port {server.port}/udp: [Aa]ddress (already )?in use")
            self.assert_refused(f"[server]\nport = 0\n[http]\nport = {http_port}\n",
                                rf"cannot listen on 127\.0\.0\.1 port {http_port}/tcp: [Aa]ddress (already )?in use")

    def test_address_of_another_machine(self):
        self.assert_refused('[server]\nport = 0\nhost = "192.0.2.1"\n[http]\nenabled = false\n',
                            r"cannot listen on 192\.0\.2\.1 port 0/udp: [Cc]annot assign requested address")

    def test_certificates_that_are_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            def refused(cert, key, pattern):
                with self.subTest(pattern=pattern):
                    self.assert_refused(f'[server]\nport = 0\ncertificate = "{cert}"\nprivate_key = "{key}"\n'
                                        "[http]\nport = 0\n", pattern)
            folder = pathlib.Path(folder)
            good, other = Certificate(folder, "good"), Certificate(folder, "other")
            late = Certificate(folder, "late", days=3, start_days=-10)
            early = Certificate(folder, "early", start_days=3)
            (folder / "empty").write_text("")
            (folder / "text").write_text("hello\n")
            (folder / "cut").write_bytes(good.cert_path.read_bytes()[:200])
            locked = folder / "locked.key"
            locked.write_bytes(good.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                      serialization.BestAvailableEncryption(b"secret")))
            refused(folder / "none.pem", good.key_path, "none.pem.*No such file")
            refused(good.cert_path, folder / "none.key", "none.key.*No such file")
            refused(folder, good.key_path, re.escape(str(folder)))
            refused(folder / "empty", good.key_path, "empty")
            refused(folder / "text", good.key_path, "text.*PEM")
            refused(folder / "cut", good.key_path, "cut")
            refused(good.cert_path, folder / "text", "text.*PEM")
            refused(good.cert_path, locked, "locked.key.*(encrypt|pass)")
            refused(good.cert_path, other.key_path, "other.key.*good.pem|good.pem.*other.key|does not (fit|match|belong)")
            refused(late.cert_path, late.key_path, "late.pem.*(expired|ended)")
            refused(early.cert_path, early.key_path, "early.pem.*(not yet valid|not valid before|begins)")

    def test_certificate_without_its_key(self):
        status, _, err = run("-c", "FILE", config='[server]\ncertificate = "/x"\n')
        self.assertEqual(status, 78)
        self.assertIn("private_key", err)

    def test_key_from_a_credential_of_systemd(self):
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder)
            (pathlib.Path(folder) / "key.pem").write_bytes(cert.key_path.read_bytes())
            with Mynahd(server=f'certificate = "{cert.cert_path}"\nprivate_key = "credential:key.pem"\n',
                        env={"CREDENTIALS_DIRECTORY": folder}) as server:
                self.assertEqual(server.get("/certificate.sha256")[1].strip(), cert.sha256())

    def test_self_signed_certificate_that_browsers_refuse_is_warned_of(self):
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder, days=100)
            with Mynahd(server=cert.config()) as server:
                server.wait_for_line("warn .*browsers will refuse")
                self.assertEqual(server.hashes(), [])


class Systemd(unittest.TestCase):
    def test_ready_watchdog_reload_stopping(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            path = os.path.join(folder, "notify")
            s.bind(path)
            s.settimeout(10)

            def wait_for(state):
                while True:
                    got = s.recv(4096).decode().split("\n")
                    seen.extend(got)
                    if state in got:
                        return got

            seen = []
            with Mynahd(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}) as server:
                wait_for("READY=1")
                wait_for("WATCHDOG=1")
                wait_for("WATCHDOG=1")
                server.process.send_signal(signal.SIGHUP)
                got = wait_for("RELOADING=1")
                self.assertTrue(any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in got))
                wait_for("READY=1")
                server.process.send_signal(signal.SIGTERM)
                wait_for("STOPPING=1")
            self.assertEqual(seen.count("STOPPING=1"), 1)

    def test_a_reload_that_fails_says_so_in_the_status(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path := os.path.join(folder, "notify"))
            s.settimeout(30)

            def reload():
                server.process.send_signal(signal.SIGHUP)
                while not (got := s.recv(4096).decode()).startswith("READY=1\n"):
                    pass
                return got.split("\n")[1:]

            cert = Certificate(folder)
            with Mynahd(server=cert.config(), env={"NOTIFY_SOCKET": path}) as server:
                good = cert.cert_path.read_text()
                self.assertEqual(reload(), ["STATUS="])
                cert.cert_path.write_text("nonsense\n")
                self.assertEqual(reload(), [f"STATUS=reload failed, the old certificate stays: {cert.cert_path}: is not PEM"])
                cert.cert_path.write_text(good)
                self.assertEqual(reload(), ["STATUS="])

    def test_abstract_socket(self):
        name = f"mynah-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind("\0" + name)
            s.settimeout(10)
            with Mynahd(env={"NOTIFY_SOCKET": "@" + name}):
                self.assertEqual(s.recv(100), b"READY=1")


class Log(VoiceCase):
    async def strange_visitors(self, server):
        path = "/audio?room=x&name=%22a%5c%1b%7f%E2%80%AE%22"
        async with connection(server) as p:  # control characters are refused, and may be logged
            await p.open_session("/audio?room=x%0a2026-01-01T00:00:00.000Z%20error%20forged&name=y")
        async with connection(server) as p:
            await p.open_session(path)
        async with connection(server) as p:
            await p.open_session("/audio?room=x&name=%22quoted%22%20level=error%20%5c%20%C3%A4")
        async with connection(server) as p:
            await p.open_session("/audio?room=x", origin='https://evil.example"\x1b[31m\\ why="fine')
        async with session(server, room="x", name="Ann") as p:
            p.close_session(3, 'gone"\n2026-01-01 error forged\x1b[31m')
            await p.until(lambda: p.terminated, what="the end")

    async def test_json_lines_parse(self):
        with Mynahd('[log]\nformat = "json"\nlevel = "debug"\n') as server:
            await self.strange_visitors(server)
            server.process.send_signal(signal.SIGHUP)
            await off_loop(server.wait_for_line, "reload")
            server.stop()
            for line in server.lines:
                entry = json.loads(line)
                self.assertIn(entry["level"], ("error", "warn", "info", "debug"), line)
                self.assertFalse(re.search(r"[\x00-\x1f\x7f]", line), line)
            self.assertFalse([line for line in server.lines if json.loads(line)["level"] in ("error", "warn")])

    async def test_text_lines_cannot_be_forged(self):
        with Mynahd('[log]\nlevel = "debug"\n') as server:
            await self.strange_visitors(server)
            server.stop()
            for line in server.lines:
                self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info |debug) ")
                self.assertFalse(re.search(r"[\x00-\x1f\x7f]", line), line)

    async def test_session_in_the_log_is_the_one_in_the_welcome(self):
        with Mynahd() as server:
            async with session(server, room="x", name="Ann") as p:
                number = p.lines[0]["session"]
            line = await off_loop(server.wait_for_line, r"left .*sess=|sess=.*left")
            self.assertIn(f"sess={number.lstrip('s')}", line)

    async def test_ready_line(self):
        with Mynahd() as server:
            line = server.wait_for_line("ready")
            self.assertRegex(line, r"ready version=\S+ url=https://localhost:\d+/audio page=http://localhost:\d+/")


class Load(VoiceCase):
    @staticmethod
    async def check(server):
        return json.loads((await off_loop(server.get, "/check?room=x"))[1])

    async def test_busy_server_takes_in_nobody_new(self):
        mynah = pathlib.Path(binary()).with_name("mynah")
        with Mynahd("[limits]\nmax_load_percent = 1\n") as server:
            self.assertEqual(await self.check(server), {"ok": True})
            async with session(server) as first:
                load = await asyncio.create_subprocess_exec(
                    str(mynah), "load", server.url, "--insecure", "--sessions", "20", "--rooms", "5", "--talkers", "1", "--ramp", "200", "--seconds", "4",
                    "--quiet", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    until = time.monotonic() + 20
                    while (answer := await self.check(server))["ok"] and time.monotonic() < until:
                        await asyncio.sleep(0.05)
                    self.assertEqual(answer, {"ok": False, "status": 503, "reason": "the server is busy"})
                    status = 200
                    while status != 503 and time.monotonic() < until:  # a shard may have been idle for a moment
                        try:
                            async with connection(server) as late:
                                status = await late.open_session("/audio")
                        except ConnectionError:  # it waited too long for a handshake, and was refused without
                            continue
                    self.assertEqual(status, 503)
                    self.assertFalse(first.ended)  # who is there stays
                finally:
                    await load.wait()
            until = time.monotonic() + 20
            while not (await self.check(server))["ok"]:
                self.assertLess(time.monotonic(), until, "busy for ever")
                await asyncio.sleep(0.1)
            self.assertIn("busy: new sessions are refused", server.log())
            metrics = server.metrics()
            self.assertGreater(metrics["mynah_handshake_packets_total"], 20)
            self.assertEqual(metrics['mynah_handshake_packets_dropped_total{reason="full"}'], 0)


class Ports(VoiceCase):
    async def test_wildcards_and_localhost_answer_on_both_families(self):
        for host in "0.0.0.0", "::", "localhost", "127.0.0.1":
            with self.subTest(host=host):
                with Mynahd(server=f'host = "{host}"\n', http=f'host = "{host}"\n') as server:
                    for address in "127.0.0.1", "::1":
                        async with session(server, host=address, room="x"):
                            pass
                        port = int(server.page.rstrip("/").rsplit(":", 1)[1])
                        with socket.create_connection((address, port), 5) as s:
                            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                            self.assertIn(b"200", s.recv(100))

    async def test_without_a_page(self):
        with Mynahd(http="enabled = false\n") as server:
            self.assertIsNone(server.page)
            async with session(server, room="x"):
                pass

    def test_standard_files_may_be_closed(self):
        server = Mynahd()
        server.command[:0] = ["sh", "-c", 'exec "$@" <&- >&-', "-"]
        with server:
            self.assertEqual(server.get("/healthz")[0], 200)

    def test_interrupt_stops_as_well(self):
        server = Mynahd()
        with server:
            server.stop(signal.SIGINT)

    async def test_second_signal_hurries(self):
        with Mynahd(server="drain_ms = 4000\n") as server:
            async with session(server, room="x") as p:
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                await p.expect("bye")
                server.process.send_signal(signal.SIGTERM)
                await p.until(lambda: p.ended, what="the end of the session")
                self.assertLess(time.monotonic() - began, 3)


if __name__ == "__main__":
    unittest.main()
