"""Starts a real mynahd for a test and stops it: the binary named by $MYNAHD, on free ports."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    named = os.environ.get("MYNAHD")
    for path in [named] if named else [ROOT / "build/sanitize/bin/mynahd", ROOT / "build/bin/mynahd"]:
        if pathlib.Path(path).exists():
            return str(path)
    raise FileNotFoundError("no mynahd: build it, or name it in $MYNAHD")


class Mynahd:
    """with Mynahd('[private]\\nbridge = "echo"') as server: ..."""

    def __init__(self, config="", server="", http="", env=None, binary_path=None, args=(), port=0, http_port=0):
        self.dir = tempfile.TemporaryDirectory(prefix="mynah-test-")
        self.config_path = pathlib.Path(self.dir.name) / "mynah.toml"
        self.config_path.write_text(f'[server]\nport = {port}\n{server}\n[http]\nport = {http_port}\n{http}\n{config}\n')
        self.env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", **(env or {})}
        self.command = [binary_path or binary(), "-c", str(self.config_path), *args]
        self.lines = []
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        self.dir.cleanup()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        env=self.env, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        line = self.wait_for_line(r"ready version=", 20)
        self.url = re.search(r"url=(\S+)", line).group(1)
        page = re.search(r"page=(\S+)", line)
        self.page = page.group(1) if page else None
        self.port = int(re.search(r":(\d+)/", self.url).group(1))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def log(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern, seconds=10):
        """The first log line that matches; waits for it."""
        until = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < until:
            while seen < len(self.lines):
                if re.search(pattern, self.lines[seen]):
                    return self.lines[seen]
                seen += 1
            if self.process.poll() is not None and not self.reader.is_alive():
                break
            time.sleep(0.01)
        raise AssertionError(f"no log line /{pattern}/:\n{self.log()}")

    def get(self, path, ok=True):
        """(status, body as text) of a GET on the page's port."""
        try:
            with urllib.request.urlopen(self.page.rstrip("/") + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            if ok:
                raise
            return error.code, error.read().decode()

    def metrics(self):
        """{'mynah_sessions': 1.0, 'mynah_x_total{reason="y"}': 2.0, ...}"""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def key_exchanges(self):
        """{'X25519MLKEM768': 1}: of the handshakes so far."""
        name = "mynah_handshakes_by_group_total"
        return {key.split('"')[1]: int(n) for key, n in self.metrics().items() if key.startswith(name) and n}

    def wait_for_metric(self, name, value, seconds=10):
        until = time.monotonic() + seconds
        while True:
            now = self.metrics().get(name)
            if now == value:
                return
            if time.monotonic() > until:
                raise AssertionError(f"{name} is {now}, not {value}\n{self.log()}")
            time.sleep(0.05)

    def hashes(self):
        return json.loads(self.get("/mynah.json")[1])["certificate_hashes"]

    def wait_for_hash(self, sha256, seconds=10):
        until = time.monotonic() + seconds
        while self.get("/certificate.sha256")[1].strip() != sha256:
            if time.monotonic() > until:
                raise AssertionError(f"the certificate is not {sha256}\n{self.log()}")
            time.sleep(0.05)

    def resident_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1))

    def stop(self, sig=signal.SIGTERM, seconds=15):
        """Ends it and insists on a clean end: status 0, and no report of a sanitizer."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"mynahd did not end:\n{self.log()}") from None
        self.reader.join(5)
        self.process.stderr.close()
        self.process = None
        log = self.log()
        if status != 0 or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"mynahd ended with status {status}:\n{log}")
        return status
