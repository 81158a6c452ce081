#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page in headless Chromium against fake_server.py: join, hear, write, survive a restart,
be refused. Needs chromium, chromium-driver, python3-selenium, python3-aioquic, openssl.

    scripts/debian13 --for test python3 -m unittest tests/web/test_page.py
"""
import http.server
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

SERVER = pathlib.Path(__file__).with_name("fake_server.py")
FLAGS = ("--headless=new --no-sandbox --use-fake-device-for-media-stream --use-fake-ui-for-media-stream "
         "--autoplay-policy=no-user-gesture-required --disable-gpu --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --window-size=1280,860").split()


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def proxy_under(prefix, port):
    """A proxy that serves what is at `port` under `prefix` alone, as nginx and Caddy do; notes what else was asked."""
    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if not self.path.startswith(prefix):
                self.server.astray.append(self.path)
                return self.answer(404, {}, b"")
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{self.path[len(prefix):]}",
                                             headers={"Host": self.headers["Host"]})
            try:
                with urllib.request.urlopen(request, timeout=5) as upstream:
                    self.answer(upstream.status, upstream.headers, upstream.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.headers, error.read())

        def answer(self, status, fields, body):
            self.send_response(status)
            for name in "Content-Type", "Content-Security-Policy":
                if name in fields:
                    self.send_header(name, fields[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.astray = []
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    return proxy


class Page(unittest.TestCase):
    def setUp(self):
        self.ports = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        self.server = None
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        for flag in FLAGS + [f"--user-data-dir={self.profile.name}"]:
            options.add_argument(flag)
        self.browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.browser.set_script_timeout(20)

    def tearDown(self):
        self.browser.quit()
        self.stop("kill")
        self.profile.cleanup()

    def serve(self, *args):
        http, udp = self.ports
        self.server = subprocess.Popen([sys.executable, SERVER, "--http", str(http), "--udp", str(udp), *args],
                                       stdout=subprocess.PIPE, text=True)
        self.assertIn("ready", self.server.stdout.readline())

    def stop(self, how):
        if self.server:
            getattr(self.server, how)()
            self.server.wait(5)
            self.server.stdout.close()
            self.server = None

    def open(self, query):
        self.browser.get(f"http://127.0.0.1:{self.ports[0]}/?loopback=0&{query}")

    def js(self, expression):
        return self.browser.execute_script("return " + expression)

    def until(self, expression, seconds=20):
        return WebDriverWait(self.browser, seconds, 0.05).until(lambda _: self.js(expression), expression)

    def heard_peak(self, seconds):
        return self.browser.execute_async_script(
            "const done = arguments[0]; mynah.recordHeard(%g).then(({ samples }) =>"
            " done(samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0)))" % seconds)

    def test_talk_write_and_survive_a_restart(self):
        self.serve()
        self.open("autoconnect=1&name=Ann")
        self.until("mynah.state === 'live'")
        self.assertGreater(self.heard_peak(2.5), 0.05)  # the fake microphone beeps once a second
        self.browser.find_element("id", "text").send_keys("hello\n")
        self.until("document.getElementById('log').textContent.includes('hello!')")
        self.stop("terminate")
        self.until("mynah.state === 'waiting'")
        self.serve()  # with another certificate
        self.until("mynah.state === 'live'")
        self.assertTrue(self.js("mynah.figures().microphone"))
        self.assertGreater(self.heard_peak(2.5), 0.05)
        self.browser.find_element("id", "leave").click()
        self.until("mynah.state === 'idle'")

    def test_leaving_before_the_microphone_is_allowed_stops_its_track(self):
        self.serve()
        self.open("room=r")
        self.browser.execute_script("""
            const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            window.tracks = [];
            navigator.mediaDevices.getUserMedia = async (wanted) => {
                await new Promise((allow) => (window.allow = allow));
                const stream = await ask(wanted);
                window.tracks.push(...stream.getTracks());
                return stream;
            };""")
        self.browser.find_element("id", "connect").click()
        self.until("Boolean(window.allow)")
        self.browser.find_element("id", "leave").click()
        self.browser.execute_script("allow()")
        self.until("tracks.length === 1 && tracks[0].readyState === 'ended'")
        self.assertEqual(self.js("[mynah.state, mynah.problem, mynah.figures().microphone]"), ["idle", None, False])
        self.browser.execute_script("window.allow = null")
        self.browser.find_element("id", "connect").click()
        self.until("Boolean(window.allow)")
        self.browser.execute_script("allow()")
        self.until("mynah.state === 'live'")
        self.assertTrue(self.js("mynah.figures().microphone"))

    def test_a_refused_message_does_not_end_the_call(self):
        self.serve()
        self.open("autoconnect=1&room=r")
        self.until("mynah.state === 'live'")
        self.browser.execute_script("mynah.call.on('warning', ({ code }) => (window.warned = code)); mynah.call.message('x'.repeat(20000))")
        self.until("window.warned === 'refused_here'")
        self.assertEqual(self.js("mynah.state"), "live")

    def write(self, text):
        self.browser.find_element("id", "text").send_keys(text + "\n")

    def test_a_failed_bridge_is_shown_once(self):
        self.serve()
        self.open("autoconnect=1")
        self.until("mynah.state === 'live'")
        self.write("fail")
        self.until("document.getElementById('subline').textContent === 'parrot does not answer at the moment.'")
        self.write("return")
        self.until("document.getElementById('log').lastChild.textContent === 'parrot is back'")
        notes = self.js("[...document.querySelectorAll('#log .note')].map((n) => n.textContent)")
        self.assertEqual(notes, ["parrot has failed: exited with status 3", "parrot is back"])
        self.assertNotIn("does not answer", self.js("document.getElementById('subline').textContent"))

    def test_a_bridge_that_left_has_not_failed(self):
        self.serve()
        self.open("autoconnect=1")
        self.until("mynah.state === 'live'")
        self.write("leave")
        self.until("document.getElementById('subline').textContent === 'parrot has left. It comes back when somebody joins.'")
        notes = self.js("[...document.querySelectorAll('#log .note')].map((n) => n.textContent)")
        self.assertEqual(notes, ["parrot has left"])

    def test_a_transcript_grows_in_its_place(self):
        said = "[...document.querySelectorAll('#log li:not(.own) .said')].map((p) => [p.textContent, p.ariaBusy])"
        self.serve()
        self.open("autoconnect=1")
        self.until("mynah.state === 'live'")
        for write, want in (("think", [["It is ten", "true"]]), ("say", [["It is ten o'clock.", "false"]]),
                            ("think", [["It is ten o'clock.", "false"], ["It is ten", "true"]])):
            self.write(write)
            self.until(f"JSON.stringify({said}) === JSON.stringify({want})")

    def test_another_room_begins_without_the_messages_of_the_last(self):
        self.serve()
        self.open("autoconnect=1&room=r")
        self.until("mynah.state === 'live'")
        self.write("between us")
        self.browser.find_element("id", "leave").click()
        for room, kept in (("r", True), ("s", False)):
            self.browser.execute_script("document.getElementById('room').value = arguments[0]", room)
            self.browser.find_element("id", "connect").click()
            self.until("mynah.state === 'live'")
            self.assertEqual(self.js("document.getElementById('log').textContent.includes('between us')"), kept)
            self.assertEqual(self.js("new URL(location.href).searchParams.get('room')"), room)
            self.assertFalse(self.js("document.getElementById('invite').hidden"))
            self.browser.find_element("id", "leave").click()

    def test_a_server_that_is_gone_is_waited_for_and_not_called_a_fault_of_the_sound(self):
        self.serve()
        self.open("")
        self.until("Boolean(window.mynah)")
        self.stop("terminate")
        self.browser.find_element("id", "connect").click()
        self.until("mynah.problem")
        self.assertEqual(self.js("[mynah.problem, mynah.state]"), ["gone", "waiting"])
        self.serve()
        self.until("mynah.state === 'live'")
        self.assertTrue(self.js("document.getElementById('notice').hidden"))

    def test_a_long_name_is_cut_to_what_the_protocol_takes(self):
        self.serve()
        self.open("room=r")
        self.browser.execute_script("document.getElementById('name').value = '\u9ce5'.repeat(40)")
        self.browser.find_element("id", "connect").click()
        self.until("mynah.state === 'live'")
        self.assertEqual(self.js("mynah.call.participants.get(mynah.call.me).name"), "\u9ce5" * 21)

    def test_muted_sends_nothing(self):
        self.serve()
        self.open("autoconnect=1&room=r")
        self.until("mynah.state === 'live' && mynah.figures().sent > 10")
        self.browser.find_element("id", "mute").click()
        self.until("mynah.figures().muted && mynah.figures().participants[0].muted")
        before = self.until("new Promise((r) => setTimeout(() => r(mynah.figures().sent), 700))")
        self.assertEqual(self.js("new Promise((r) => setTimeout(() => r(mynah.figures().sent), 700))"), before)

    def test_the_bird_may_be_silenced(self):
        self.serve()
        self.open("autoconnect=1&name=Ann")
        self.until("mynah.state === 'live' && mynah.figures().participants.length === 2")
        button = self.browser.find_element("id", "silence")
        for label, mode, words in ("Silence parrot", "listening", "You have silenced parrot"), \
                ("Let parrot speak", "active", "You have let parrot speak again"):
            self.until(f"document.getElementById('silence').textContent === '{label}'")
            button.click()
            self.until(f"mynah.figures().participants.find((p) => p.bridge).mode === '{mode}'")
            self.until(f"document.getElementById('log').textContent.includes('{words}')")
            self.assertEqual(self.js("document.getElementById('people').textContent.includes('only listens')"), mode == "listening")
            if mode == "listening":
                self.until("document.getElementById('subline').textContent.includes('silenced')")

    def test_the_page_works_behind_a_proxy_under_a_prefix(self):
        self.serve()
        proxy = proxy_under("/voice/", self.ports[0])
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        self.browser.get(f"http://127.0.0.1:{proxy.server_port}/voice/?loopback=0&autoconnect=1&name=Ann")
        self.until("mynah.state === 'live'")
        self.assertGreater(self.heard_peak(2.5), 0.05)
        self.browser.get(f"http://127.0.0.1:{proxy.server_port}/voice/?loopback=0&autoconnect=1&room=full")
        self.until("mynah.problem")
        self.assertEqual(self.js("mynah.problem"), "refused")
        self.assertEqual([path for path in proxy.astray if path != "/favicon.ico"], [])

    def test_words_for_refusals(self):
        for args, query, kind in (([], "room=full", "refused"), (["--wrong-hash"], "", "certificate"), (["--no-udp"], "", "blocked")):
            with self.subTest(kind):
                self.serve(*args)
                self.open("autoconnect=1&" + query)
                self.until("mynah.problem")
                self.assertEqual(self.js("[mynah.problem, mynah.state]"), [kind, "idle"])
                self.stop("kill")


if __name__ == "__main__":
    unittest.main()
