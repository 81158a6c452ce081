"""A piece of JavaScript in a page of a headless browser, from a server of its own; what it returns comes back.

    python3 page.py chromium|firefox FILE.js [JSON]     FILE.js is the body of an async function with the argument `plan`

prints what the function returns, an object, as lines "KEY VALUE"; a throw is "error ..."."""
import atexit
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><meta charset="utf-8"><title>finding</title><script type="module">
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const within = (ms, promise) => Promise.race([promise, sleep(ms).then(() => 'nothing')]);
let answer;
try {
    answer = await (async (plan) => {%s})(%s);
} catch (error) {
    answer = { error: String(error) };
}
await fetch('/report', { method: 'POST', body: JSON.stringify(answer) });
</script>"""

FIREFOX_PREFS = {
    "browser.shell.checkDefaultBrowser": "false", "app.update.enabled": "false", "app.normandy.enabled": "false",
    "datareporting.policy.dataSubmissionEnabled": "false", "toolkit.telemetry.enabled": "false",
    "browser.startup.homepage_override.mstone": '"ignore"', "browser.aboutwelcome.enabled": "false",
    "network.captive-portal-service.enabled": "false", "network.connectivity-service.enabled": "false",
    "services.settings.server": '""', "media.autoplay.default": "0",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.server.page.encode())

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer(b"thanks")
        self.server.reported.set()

    def log_message(self, *args):
        pass


def command(browser, profile, address):
    if browser == "firefox":
        pathlib.Path(profile, "user.js").write_text("".join(f'user_pref("{k}", {v});\n' for k, v in FIREFOX_PREFS.items()))
        return ["firefox-esr", "--headless", "--no-remote", "--profile", profile, address]
    return ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}", address]


class Visit:
    """The browser with the page; `result` is what the function returned, or None if it did not in time."""

    def __init__(self, browser, script, plan=None, seconds=200):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.page = PAGE % (script, json.dumps(plan))
        self.server.report, self.server.reported = None, threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            command(browser, self.profile.name, f"http://127.0.0.1:{self.server.server_port}/"),
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile.name, "MOZ_HEADLESS": "1", "LD_LIBRARY_PATH": ""})
        atexit.register(self.quit)  # also if we are stopped
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.server.reported.wait(seconds)
        self.result = self.server.report

    def quit(self):
        atexit.unregister(self.quit)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.server.shutdown()
        self.profile.cleanup()


def run(browser, script, plan=None, seconds=200):
    visit = Visit(browser, script, plan, seconds)
    visit.quit()
    return visit.result if visit.result is not None else {"error": "no answer in time"}


def show(result):
    for key, value in result.items():
        print(key, value if isinstance(value, str) else json.dumps(value))


if __name__ == "__main__":
    show(run(sys.argv[1], pathlib.Path(sys.argv[2]).read_text(), json.loads(sys.argv[3]) if len(sys.argv) > 3 else None))
