#!/usr/bin/env python3
"""The page and its neighbours, over HTTP/3 and HTTP/1.1, asked by curl and openssl."""
import hashlib
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd  # noqa: E402
from voice import connection, session  # noqa: E402
from voice_case import Certificate, VoiceCase, off_loop  # noqa: E402

ROOMS = '[[room]]\nname = "small"\nmax_participants = 1\n[[room]]\nname = "team-*"\n'


class Answer:
    def __init__(self, text, version, status):
        head, _, self.body = text.partition("\r\n\r\n")
        self.version, self.status = version, int(status)
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.split("\r\n")[1:])}


def curl(url, *args):
    out = subprocess.run(["curl", "-sS", "-i", "-k", "--max-time", "15", "-w", "\n%{http_version} %{http_code}", *args,
                          url], capture_output=True, timeout=30, check=True).stdout.decode()
    text, _, last = out.rpartition("\n")
    return Answer(text, *last.split())


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Mynahd(ROOMS, http='names = ["voice.example", "Voice.Example.com"]\n')
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.server.dir.cleanup()

    def h1(self, path, *args):
        answer = curl(self.server.page.rstrip("/") + path, "--http1.1", *args)
        self.assertEqual(answer.version, "1.1")
        return answer

    def h3(self, path, *args):
        answer = curl(f"https://127.0.0.1:{self.server.port}{path}", "--http3-only", *args)
        self.assertEqual(answer.version, "3")
        return answer

    def both(self, path, *args):
        return self.h1(path, *args), self.h3(path, *args)

    def test_page(self):
        for a in self.both("/"):
            self.assertEqual(a.status, 200)
            self.assertIn("<html", a.body)
            self.assertIn("text/html", a.headers["content-type"])
            csp = a.headers["content-security-policy"]
            self.assertRegex(csp, "default-src '(none|self)'")
            self.assertNotIn("unsafe-inline", csp)
            for address in re.findall(r'(?:src|href)="([^"#:]+)"', a.body):
                self.assertEqual(self.h1("/" + address.lstrip("./")).status, 200, address)

    def test_the_page_is_the_same_over_both(self):
        for path in "/index.html", "/app.js", "/mynah.js", "/style.css":
            one, three = self.both(path)
            self.assertEqual(one.body, three.body)
            self.assertEqual(one.headers["content-type"], three.headers["content-type"])
            self.assertGreater(len(one.body), 100)

    def test_a_path_means_the_same_over_both(self):
        table = {"/mynah.json": 200, "/mynah%2ejson": 200, "/%6Dynah.json?x=%zz": 200, "/healthz?": 200, "/%68ealthz": 200,
                 "/%63heck?room=team-1": 200, "/certificate%2Esha256": 200, "/index%2ehtml": 200, "/app.js?v=1": 200,
                 "/nothing": 404, "/%2fhealthz": 404, "/healthz%2f": 404, "/healthz%3f": 404, "/HEALTHZ": 404, "//": 404,
                 "/audio": 404, "/.git/config": 404, "/mynah+json": 404, "/caf%C3%A9": 404,
                 "/%": 400, "/%4": 400, "/%zz": 400, "/%00": 400, "/%0d%0aX:1": 400, "/mynah.json%7f": 400, "/..": 400,
                 "/./healthz": 400, "/a/%2e%2e/healthz": 400, "/a/..%2fhealthz": 400, "/%2e": 400}
        for path, status in table.items():
            methods = [(), ("--head",), ("-X", "POST")] if path in ("/%6Dynah.json?x=%zz", "/nothing", "/%zz") else [()]
            for args in methods:
                one, three = self.both(path, "--path-as-is", "-H", "Host: voice.example", *args)
                self.assertEqual((one.status, three.status), (405, 405) if "POST" in args else (status, status), path)
                self.assertEqual(one.body, three.body, path)
                for name in (set(one.headers) | set(three.headers)) - {"connection"}:
                    self.assertEqual(one.headers.get(name), three.headers.get(name), (path, name))

    def test_health(self):
        for a in self.both("/healthz"):
            self.assertEqual(a.status, 200)
            self.assertEqual(json.loads(a.body)["status"], "ok")

    def test_head(self):
        for path in "/", "/healthz", "/mynah.json":
            for a in self.both(path, "--head"):
                self.assertEqual((a.status, a.body.strip()), (200, ""))
                self.assertGreater(int(a.headers["content-length"]), 10)

    def test_not_there(self):
        for path in "/nothing", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/index.html/", "//", "/.git/config":
            for a in self.both(path, "--path-as-is"):
                self.assertEqual(a.status, 400 if ".." in path or "%2e" in path else 404, path)

    def test_other_methods(self):
        for method in "POST", "PUT", "DELETE", "OPTIONS":
            for a in self.both("/", "-X", method):
                self.assertEqual(a.status, 405, method)
        for a in self.both("/", "-d", "x" * 5000):
            self.assertEqual(a.status, 405)

    def test_metrics_over_http1_only(self):
        a = self.h1("/metrics")
        self.assertEqual(a.status, 200)
        self.assertIn("text/plain; version=0.0.4", a.headers["content-type"])
        families = set()
        for line in a.body.splitlines():
            if line.startswith("# TYPE "):
                families.add(line.split()[2])
            elif line and not line.startswith("#"):
                name = re.match(r'^([a-z0-9_]+)(\{[a-z]+="[^"]*"\})? -?[0-9.e+-]+$', line)
                self.assertTrue(name, line)
                self.assertTrue({name[1], re.sub("_(bucket|sum|count)$", "", name[1])} & families, line)
        self.assertEqual(self.h3("/metrics").status, 404)

    def test_check(self):
        for path, ok, status in [("/check?room=team-1", True, None), ("/check", True, None),
                                 ("/check?room=other", False, 404), ("/check?room=%zz", False, 400),
                                 ("/check?room=" + "x" * 70, False, 400), ("/check?room=team-%22%5c%0a", False, 400)]:
            for a in self.both(path):
                answer = json.loads(a.body)
                self.assertEqual((answer["ok"], answer.get("status")), (ok, status), path)

    def test_mynah_json_holds_what_the_page_reads(self):
        a = self.h1("/mynah.json", "-H", "Host: voice.example.com:8080")
        info = json.loads(a.body)
        self.assertEqual(info["url"], f"https://voice.example.com:{self.server.port}/audio")
        self.assertEqual((info["port"], info["path"], info["frame_ms"], info["sample_rate"]),
                         (self.server.port, "/audio", 20, 16000))
        self.assertTrue(all(re.fullmatch("[0-9a-f]{64}", h) for h in info["certificate_hashes"]))
        self.assertNotIn("access-control-allow-origin", a.headers)
        for host in 'a"b', "a<b>", "[::1", "a b", "", "\\":
            a = self.h1("/mynah.json", "-H", f"Host: {host}" if host else "Host;")
            if a.status == 200:
                self.assertIn("port", json.loads(a.body))

    def test_pages_that_may_connect_may_read(self):
        near, far = "http://localhost:3000", "https://evil.example"
        for path in "/mynah.json", "/check", "/certificate.sha256":
            for origin, reader in (near, near), (far, None), ("null", None), ("", None):
                for a in self.both(path, "-H", f"Origin: {origin}" if origin else "Origin;"):
                    self.assertEqual((a.status, a.headers.get("access-control-allow-origin"), a.headers.get("vary")),
                                     (200, reader, "origin"), (path, origin))
        for a in self.both("/check", "-H", f"Origin: {far}"):
            self.assertEqual(json.loads(a.body)["status"], 403)
        for a in self.both("/healthz", "-H", f"Origin: {far}"):
            self.assertEqual(a.headers["access-control-allow-origin"], "*")
        for a in self.both("/", "-H", f"Origin: {near}"):
            self.assertNotIn("access-control-allow-origin", a.headers)
        with Mynahd(server='origins = "*"\n') as server:
            a = curl(server.page + "mynah.json", "-H", f"Origin: {far}")
            self.assertEqual((a.headers["access-control-allow-origin"], a.headers.get("vary")), ("*", None))

    def test_a_host_that_is_not_known_gets_421(self):
        before = self.server.metrics()["mynah_misdirected_requests_total"]
        n = 0
        for host in "evil.example", "evil.example:8080", "localhost.evil.example", "127.1", "localhost.":
            for path in "/", "/mynah.js", "/mynah.json", "/certificate.sha256", "/check", "/metrics", "/nothing":
                for a in self.both(path, "-H", f"Host: {host}"):
                    self.assertEqual(a.status, 421, (host, path))
                    self.assertIn("[http] names", a.body)
                    self.assertNotIn("access-control-allow-origin", a.headers)
                    n += 1
            for a in self.both("/healthz", "-H", f"Host: {host}"):
                self.assertEqual(a.status, 200, host)
        self.assertEqual(self.server.metrics()["mynah_misdirected_requests_total"] - before, n)
        for host in "localhost", "LOCALHOST:1", "127.0.0.1", "192.0.2.1", "[::1]:8080", "voice.example", "VOICE.example.com:81":
            for a in self.both("/mynah.json", "-H", f"Host: {host}"):
                self.assertEqual(a.status, 200, host)
        for args, status in (("--http1.0", "-H", "Host:"), 421), (("--http1.0",), 200), (("--http1.1", "-H", "Host;"), 421):
            self.assertEqual(curl(self.server.page, *args).status, status, args)
            self.assertEqual(curl(self.server.page + "healthz", *args).status, 200, args)

    def test_this_machine_may_be_called_by_its_name(self):
        for a in self.both("/mynah.json", "-H", f"Host: {socket.gethostname()}:8080"):
            self.assertEqual(a.status, 200)

    def test_certificate_is_the_one_that_quic_shows(self):
        shown = self.h1("/certificate.sha256").body.strip()
        self.assertEqual(shown, self.server.hashes()[0])

        async def over_quic():
            async with connection(self.server) as p:
                return p.certificate_sha256()
        import asyncio
        self.assertEqual(asyncio.run(over_quic()), shown)

    @unittest.skipUnless(shutil.which("openssl"), "no openssl")
    def test_certificate_as_openssl_sees_it(self):
        out = subprocess.run(["openssl", "s_client", "-quic", "-alpn", "h3", "-connect", f"127.0.0.1:{self.server.port}"],
                             input=b"", capture_output=True, timeout=30).stdout.decode(errors="replace")
        pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", out, re.S).group(0)
        der = ssl.PEM_cert_to_DER_cert(pem)
        self.assertEqual(hashlib.sha256(der).hexdigest(), self.server.hashes()[0])
        text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem.encode(), capture_output=True,
                              check=True).stdout.decode()
        self.assertIn("prime256v1", text)
        self.assertIn("DNS:localhost", text)


class Busy(VoiceCase):
    async def test_check_says_that_a_room_is_full(self):
        with Mynahd(ROOMS) as server:
            async with session(server, room="small"):
                answer = json.loads((await off_loop(server.get, "/check?room=small"))[1])
                self.assertEqual((answer["ok"], answer["status"]), (False, 503))
                self.assertIn("full", answer["reason"])

    def test_page_over_tls_with_the_certificate_of_the_voice(self):
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder)
            with Mynahd(server=cert.config(), http="tls = true\n") as server:
                self.assertTrue(server.page.startswith("https://"))
                answer = curl(server.page + "certificate.sha256", "--cacert", str(cert.cert_path))
                self.assertEqual((answer.status, answer.body.strip()), (200, cert.sha256()))


if __name__ == "__main__":
    unittest.main()
