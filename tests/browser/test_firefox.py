#!/usr/bin/env python3
"""Firefox, headless, with the pinned certificate: a session in an echo room, datagrams there and back, the control
stream. The page comes from a server of the test's own, to which it reports; no sound, no driver."""
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd  # noqa: E402

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

PAGE = """<!doctype html><meta charset="utf-8"><title>test</title><script type="module">
const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
try {
	const { url, hash } = await (await fetch('/plan')).json();
	const value = Uint8Array.from(hash.match(/../g), (x) => parseInt(x, 16));
	const wt = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
	await wt.ready;
	const control = await wt.createBidirectionalStream();
	const lines = [];
	(async () => {
		const reader = control.readable.pipeThrough(new TextDecoderStream()).getReader();
		for (let text = '', part; !(part = await reader.read()).done;) {
			text += part.value;
			for (let end; (end = text.indexOf('\\n')) >= 0; text = text.slice(end + 1))
				lines.push(JSON.parse(text.slice(0, end)));
		}
	})().catch(() => {});
	const frames = [];
	(async () => {
		const reader = wt.datagrams.readable.getReader();
		for (let part; !(part = await reader.read()).done;)
			frames.push([part.value.length, part.value[0] | part.value[1] << 8, new DataView(part.value.buffer,
				part.value.byteOffset).getInt16(100, true)]);
	})().catch(() => {});
	const pen = control.writable.getWriter();
	await pen.write(new TextEncoder().encode('{"type":"ping","t":7}\\n'));
	const writer = (wt.datagrams.createWritable ? wt.datagrams.createWritable() : wt.datagrams.writable).getWriter();
	const frame = new Uint8Array(642);
	const view = new DataView(frame.buffer);
	view.setUint16(0, 160, true);
	for (let i = 0; i < 320; i++)
		view.setInt16(2 + 2 * i, 5000, true);
	for (let i = 0; i < 100; i++) {
		await writer.write(frame.slice());
		await sleep(20);
	}
	await sleep(500);
	wt.close({ closeCode: 5, reason: 'done' });
	await report({ ok: true, frames, lines, agent: navigator.userAgent, max: wt.datagrams.maxDatagramSize });
} catch (error) {
	await report({ ok: false, error: String(error) });
}
</script>"""


REFUSED = """<!doctype html><meta charset="utf-8"><title>test</title><script type="module">
const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });
try {
	const { url, hash } = await (await fetch('/plan')).json();
	const value = Uint8Array.from(hash.match(/../g), (x) => parseInt(x, 16));
	const wt = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
	await wt.ready;
	const control = await wt.createBidirectionalStream();
	await control.writable.getWriter().write(new TextEncoder().encode('{"type":"ping","t":7}\\n'));
	const { value: bye } = await control.readable.getReader().read();
	const { closeCode, reason } = await wt.closed;
	await report({ ok: true, bye: JSON.parse(new TextDecoder().decode(bye)), closeCode, reason });
} catch (error) {
	await report({ ok: false, error: String(error) });
}
</script>"""

# Opens a window of its own for the session, which closes itself like a tab that somebody closes.
OPENER = """<!doctype html><meta charset="utf-8"><title>test</title><script>
open('/child', '_blank', 'noopener');
</script>"""

CHILD = """<!doctype html><meta charset="utf-8"><title>child</title><script type="module">
const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });
try {
	const { url, hash } = await (await fetch('/plan')).json();
	const value = Uint8Array.from(hash.match(/../g), (x) => parseInt(x, 16));
	const wt = (window.wt = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] }));
	await wt.ready;
	const control = (window.control = await wt.createBidirectionalStream());
	await control.writable.getWriter().write(new TextEncoder().encode('{"type":"ping","t":7}\\n'));
	await control.readable.getReader().read();
	await report({ ok: true });
	close();
} catch (error) {
	await report({ ok: false, error: String(error) });
}
</script>"""


class Helper(http.server.BaseHTTPRequestHandler):
    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/plan":
            self.answer("application/json", json.dumps(self.server.plan).encode())
        else:
            self.answer("text/html", self.server.pages.get(self.path, self.server.pages["/"]).encode())

    def do_POST(self):
        self.server.reports.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer("text/plain", b"thanks")

    def log_message(self, *args):
        pass


@unittest.skipUnless(FIREFOX, "no firefox here")
class Firefox(unittest.TestCase):
    @contextlib.contextmanager
    def browsing(self, plan, pages, seconds=90):
        """A browser that has opened the page: what that reports. The browser runs until the end."""
        helper = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Helper)
        helper.daemon_threads = True
        helper.plan, helper.pages, helper.reports = plan, pages, []
        threading.Thread(target=helper.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory(prefix="mynah-firefox-", ignore_cleanup_errors=True) as profile:
            pathlib.Path(profile, "user.js").write_text("".join(
                f'user_pref("{key}", {value});\n' for key, value in {
                    "browser.shell.checkDefaultBrowser": "false", "app.update.enabled": "false",
                    "datareporting.policy.dataSubmissionEnabled": "false", "toolkit.telemetry.enabled": "false",
                    "browser.startup.homepage_override.mstone": '"ignore"', "app.normandy.enabled": "false",
                    "network.captive-portal-service.enabled": "false", "browser.aboutwelcome.enabled": "false",
                    "network.connectivity-service.enabled": "false", "services.settings.server": '""',
                    "dom.disable_open_during_load": "false", "dom.allow_scripts_to_close_windows": "true",
                }.items()))
            process = subprocess.Popen([FIREFOX, "--headless", "--no-remote", "--profile", profile,
                                        f"http://127.0.0.1:{helper.server_port}/"], start_new_session=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "HOME": profile, "MOZ_HEADLESS": "1"})
            try:
                end = time.monotonic() + seconds
                while not helper.reports and time.monotonic() < end:
                    if process.poll() is not None:
                        self.fail(f"firefox ended with status {process.returncode}")
                    time.sleep(0.1)
                if not helper.reports:
                    self.fail(f"firefox reported nothing within {seconds} s")
                yield helper.reports[0]
                self.assertIsNone(process.poll())
            finally:
                os.killpg(process.pid, signal.SIGKILL)  # the group that was made for it
                process.wait()
                helper.shutdown()
                helper.server_close()

    def visit(self, plan, page=PAGE):
        """What the page reports."""
        with self.browsing(plan, {"/": page}) as got:
            return got

    def test_session_in_an_echo_room(self):
        with Mynahd('[private]\nbridge = "echo"\n') as server:
            got = self.visit({"url": f"https://127.0.0.1:{server.port}/audio?name=Fox", "hash": server.hashes()[0]})
            self.assertTrue(got["ok"], got)
            self.assertIn("Firefox", got["agent"])
            self.assertGreater(len(got["frames"]), 90)
            self.assertEqual({(length, rate) for length, rate, _ in got["frames"]}, {(642, 160)})
            loud = [x for _, _, x in got["frames"] if abs(x - 5000) < 50]
            self.assertGreater(len(loud), 80)
            self.assertEqual([line["type"] for line in got["lines"] if line["type"] in ("welcome", "pong")],
                             ["welcome", "pong"])
            self.assertEqual(got["lines"][0]["name"], "Fox")
            self.assertEqual(set(server.key_exchanges()), {"X25519MLKEM768"})
            server.wait_for_line(r'left end=peer code=5 reason="done"')
            server.wait_for_metric("mynah_connections", 0, 40)

    def test_a_refusal_is_read_in_the_session(self):
        with Mynahd() as server:
            got = self.visit({"url": f"https://127.0.0.1:{server.port}/audio?rate=7&refuse=bye", "hash": server.hashes()[0]}, REFUSED)
            self.assertTrue(got["ok"], got)
            self.assertEqual(got["bye"], {"type": "bye", "reason": "refused", "text": "rate: use 8000 to 48000", "status": 400})
            self.assertEqual((got["closeCode"], got["reason"]), (400, "rate: use 8000 to 48000"))
            self.assertEqual(server.metrics()["mynah_sessions_opened_total"], 0)

    def test_a_tab_that_is_closed_leaves_the_room_while_the_browser_lives(self):
        """It closes nothing but its streams; the connection lives on."""
        with Mynahd() as server:
            plan = {"url": f"https://127.0.0.1:{server.port}/audio?room=x", "hash": server.hashes()[0]}
            with self.browsing(plan, {"/": OPENER, "/child": CHILD}) as got:
                self.assertEqual(got, {"ok": True})
                began = time.monotonic()
                server.wait_for_metric("mynah_participants", 0, 120)  # seen: 6 to 21 s
                print(f"left {time.monotonic() - began:.1f} s after its tab was closed", file=sys.stderr)
                server.wait_for_metric("mynah_connections", 0, 40)  # the spare ones, too
            server.wait_for_line(r"left end=")

    def test_wrong_hash_is_refused_by_the_browser(self):
        with Mynahd() as server:
            got = self.visit({"url": f"https://127.0.0.1:{server.port}/audio", "hash": "00" * 32})
            self.assertFalse(got["ok"])
            self.assertEqual(server.metrics()["mynah_sessions_opened_total"], 0)


if __name__ == "__main__":
    unittest.main()
