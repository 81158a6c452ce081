#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stand-in for mynahd, for working on the page without it: serves web/ and speaks the
wire protocol on aioquic. Named rooms relay; without a room what one says comes back. The
room "full" refuses. Needs python3-aioquic and openssl.

    fake_server.py [--http 8080] [--udp 4433] [--wrong-hash] [--no-udp]
"""
import argparse
import asyncio
import collections
import hashlib
import http.server
import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, DatagramReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated

WEB = pathlib.Path(__file__).resolve().parents[2] / "web"
CSP = ("default-src 'self'; connect-src 'self' https: wss:; style-src 'self'; script-src 'self'; "
       "img-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:")
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
rooms = collections.defaultdict(dict)
ids = iter(range(1, 1 << 30))


def make_certificate(folder):
    """P-256 for 13 days; returns the paths and the SHA-256 of the certificate."""
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "13", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(cert).read_text())
    return cert, key, hashlib.sha256(der).hexdigest()


class Session(QuicConnectionProtocol):
    """One WebTransport session: its control stream, its counts, its place in a room."""

    EVENTS = {  # what the parrot does when somebody writes this
        "fail": 3 * [{"type": "bridge", "up": False, "text": "exited with status 3"}],
        "leave": [{"type": "bridge", "up": False, "left": True, "text": "code 1000"}],
        "return": [{"type": "bridge", "up": True, "text": ""}],
        "think": [{"type": "transcript", "text": "It is", "final": False}, {"type": "transcript", "text": "It is ten", "final": False}],
        "say": [{"type": "transcript", "text": "It is ten o'clock.", "final": True}],
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = self.session = self.control = None
        self.line = b""
        self.counts = collections.Counter()
        self.speaking = False
        self.quiet = 0

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.h3 = H3Connection(self._quic, enable_webtransport=True)
        if isinstance(event, ConnectionTerminated):
            self.leave()
        if self.h3:
            for h3_event in self.h3.handle_event(event):
                self.on_h3(h3_event)

    def on_h3(self, event):
        if isinstance(event, HeadersReceived):
            self.on_connect(event.stream_id, dict(event.headers))
        elif isinstance(event, WebTransportStreamDataReceived):
            if self.control is None:
                self.control = event.stream_id
                self.welcome()
            self.line += event.data
            while b"\n" in self.line:
                line, self.line = self.line.split(b"\n", 1)
                self.on_control(json.loads(line))
        elif isinstance(event, DatagramReceived) and self.session is not None:
            self.on_audio(event.data)
        elif isinstance(event, DataReceived) and event.stream_ended:
            self.leave()  # capsules before that are none of our business

    def on_connect(self, stream, headers):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(headers[b":path"].decode()).query)
        self.room = query.get("room", [None])[0]
        if self.room == "full":
            self.h3.send_headers(stream, [(b":status", b"503")], end_stream=True)
            return self.transmit()
        self.session = stream
        self.me = {"id": next(ids), "name": query.get("name", [""])[0], "muted": False, "speaking": False}
        self.key = self.room or f"private-{self.me['id']}"
        self.tell_others({"type": "joined", "participant": self.me})
        rooms[self.key][self.me["id"]] = self
        self.h3.send_headers(stream, [(b":status", b"200")])
        self.transmit()

    def welcome(self):
        people = [s.me for s in rooms[self.key].values()]
        if not self.room:
            people.append({"id": 1 << 30, "name": "parrot", "muted": False, "speaking": False, "bridge": True, "mode": "active"})
        self.say({"type": "welcome", "session": f"s{self.me['id']}", "participant": self.me["id"], "room": self.key,
                  "private": not self.room, "rate": 16000, "codec": "pcm", "frame_ms": 20, "participants": people,
                  "bridge": None if self.room else "parrot"})

    def on_control(self, m):
        kind = m["type"]
        if kind == "ping":
            self.say({"type": "pong", "t": m["t"]})
        elif kind == "stats":
            self.stats()
        elif kind == "mute":
            self.me["muted"] = m["muted"]
            self.tell_all({"type": "mute", "id": self.me["id"], "muted": m["muted"]})
        elif kind == "message":
            out = {"type": "message", "from": self.me["id"], "to": m.get("to"), "text": m["text"], "time": int(time.time() * 1000)}
            self.tell_others(out)
            if m["text"] in self.EVENTS:
                for event in self.EVENTS[m["text"]]:
                    self.say({"id": 1 << 30, **event})
            elif not self.room:
                self.say({**out, "from": 1 << 30, "text": m["text"] + "!"})
        elif kind == "bridge":
            self.tell_all({"type": "bridge", "id": 1 << 30, "up": True, "mode": m["mode"], "by": self.me["id"], "text": ""})
        elif kind == "bye":
            self.leave()

    def on_audio(self, data):
        self.counts["received"] += 1
        self.notice(data)
        for other in list(rooms[self.key].values()):
            if other is not self or not self.room:
                other.counts["sent"] += 1
                other.h3.send_datagram(other.session, data)
                other.transmit()

    def notice(self, data):
        loud = len(data) > 3 and max(memoryview(data[2:len(data) & ~1]).cast("h")) > 600
        self.quiet = 0 if loud else self.quiet + 1
        speaking = loud or (self.speaking and self.quiet < 15)
        if speaking != self.speaking:
            self.speaking = self.me["speaking"] = speaking
            self.tell_all({"type": "speaking", "id": self.me["id"], "speaking": speaking})

    def stats(self):
        if self.session is None:
            return
        self.say({"type": "stats", "rtt_ms": 0.5, "received_packets": self.counts["received"], "lost_packets": 0,
                  "sent_packets": self.counts["sent"], "buffer_ms": 30, "jitter_ms": 1.5, "concealed": 0, "dropped": 0})
        asyncio.get_running_loop().call_later(2, self.stats)

    def say(self, m):
        if self.control is not None:
            self._quic.send_stream_data(self.control, json.dumps(m).encode() + b"\n")
            self.transmit()

    def tell_all(self, m):
        for s in list(rooms[self.key].values()):
            s.say(m)

    def tell_others(self, m):
        for s in list(rooms[self.key].values()):
            if s is not self:
                s.say(m)

    def leave(self):
        if self.session is not None:
            self.session = None
            rooms[self.key].pop(self.me["id"], None)
            self.tell_others({"type": "left", "id": self.me["id"], "reason": "closed"})
            self.close()


def http_server(port, info):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            if url.path == "/mynah.json":
                return self.answer(json.dumps(info).encode(), "application/json")
            if url.path == "/healthz":
                return self.answer(b'{"ok":true}', "application/json")
            if url.path == "/check":
                full = urllib.parse.parse_qs(url.query).get("room") == ["full"]
                return self.answer(json.dumps({"ok": False, "status": 503, "reason": "room full"} if full else {"ok": True}).encode(), "application/json")
            file = WEB / (url.path.lstrip("/") or "index.html")
            if file.parent != WEB or not file.is_file():
                return self.send_error(404)
            self.answer(file.read_bytes(), TYPES.get(file.suffix, "text/plain"))

        def answer(self, body, kind):
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-security-policy", CSP)
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, default=8080)
    parser.add_argument("--udp", type=int, default=4433)
    parser.add_argument("--wrong-hash", action="store_true", help="publish the hash of another certificate")
    parser.add_argument("--no-udp", action="store_true", help="let a silent socket swallow every packet")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cert, key, digest = make_certificate(folder)
        quic = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65536, idle_timeout=30)
        quic.load_cert_chain(cert, key)
        loop = asyncio.get_running_loop()
        if options.no_udp:
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", options.udp))
        else:
            await serve("127.0.0.1", options.udp, configuration=quic, create_protocol=Session)
        http_server(options.http, {"version": "0.1.0", "url": f"https://127.0.0.1:{options.udp}/audio", "port": options.udp, "path": "/audio",
                                   "certificate_hashes": ["00" * 32 if options.wrong_hash else digest],
                                   "frame_ms": 20, "sample_rate": 16000})
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        print(f"ready http://127.0.0.1:{options.http}/", flush=True)
        await stop.wait()
        for people in list(rooms.values()):
            for s in list(people.values()):
                s.say({"type": "bye", "reason": "shutdown", "text": "restarting", "reconnect_ms": 1000})
        await asyncio.sleep(0.1)
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
