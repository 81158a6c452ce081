"""A WebTransport server on aioquic that does what a path asks for, in the process of the caller, and notes what it sees.

    with Peer() as peer:
        page.run("chromium", script, peer.plan)      # { url, hash }
        peer.sessions["/echo"] -> [Session, ...]

The path of a session says how it is answered: /NUMBER with that status, anything else with 200. /reset resets the CONNECT stream after
half a second."""
import asyncio
import datetime
import hashlib
import pathlib
import threading
import time

import page
from aioquic.asyncio import serve
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, StreamDataReceived, StreamReset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(extensions=True):
    """(certificate, key), good for ten days, as browsers want it for serverCertificateHashes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
               .not_valid_after(now + datetime.timedelta(days=10)))
    if extensions:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(key, hashes.SHA256()), key


class Session:
    def __init__(self, path, stream, connection):
        self.path, self.stream, self.connection = path, stream, connection
        self.began = time.monotonic()
        self.ended = None  # when its CONNECT stream or its connection ended, as the peer said
        self.streams_ended = []  # when other streams of its connection ended
        self.datagrams = []  # (time, bytes)


class Protocol(QuicConnectionProtocol):
    def __init__(self, *args, peer, **kwargs):
        super().__init__(*args, **kwargs)
        self.peer, self.http, self.session = peer, None, None
        peer.connections += 1

    def quic_event_received(self, event):
        now = time.monotonic()
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        if self.session and isinstance(event, ConnectionTerminated):
            self.session.ended = self.session.ended or now
        if self.session and (isinstance(event, StreamReset) or isinstance(event, StreamDataReceived) and event.end_stream):
            if event.stream_id == self.session.stream:
                self.session.ended = self.session.ended or now
            else:
                self.session.streams_ended.append(now)
        for http_event in self.http.handle_event(event) if self.http else ():
            if isinstance(http_event, HeadersReceived):
                self.answer(http_event)
            elif isinstance(http_event, DatagramReceived) and self.session:
                self.session.datagrams.append((now, http_event.data))

    def answer(self, event):
        headers = dict(event.headers)
        path = headers.get(b":path", b"/").decode()
        status = path[1:] if path[1:].isdigit() else "200"
        session = self.session = Session(path, event.stream_id, self)
        self.peer.sessions.setdefault(path, []).append(session)
        self.http.send_headers(event.stream_id, [(b":status", status.encode()), (b"sec-webtransport-http3-draft", b"draft02")],
                               end_stream=status[0] in "345")
        if path == "/reset":
            asyncio.get_running_loop().call_later(0.5, self.reset, event.stream_id)
        self.transmit()

    def reset(self, stream):
        self._quic.reset_stream(stream, 0x10c)  # H3_REQUEST_CANCELLED
        self._quic.stop_stream(stream, 0x10c)
        self.transmit()


class Peer:
    def __init__(self, extensions=True):
        self.sessions, self.connections = {}, 0
        self.loop = asyncio.new_event_loop()
        cert, key = certificate(extensions)
        self.configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, max_datagram_frame_size=65536, idle_timeout=120)
        self.configuration.certificate, self.configuration.private_key = cert, key
        self.sha256 = hashlib.sha256(cert.public_bytes(serialization.Encoding.DER)).hexdigest()

    async def start(self):
        server = await serve("127.0.0.1", 0, configuration=self.configuration,
                             create_protocol=lambda *a, **k: Protocol(*a, peer=self, **k))
        return server._transport.get_extra_info("sockname")[1]

    def __enter__(self):
        port = self.loop.run_until_complete(self.start())
        self.plan = {"url": f"https://127.0.0.1:{port}", "hash": self.sha256}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.loop.call_soon_threadsafe(self.loop.stop)


def visit(browser, script, extensions=True, seconds=200):
    """(peer, what a page behind webtransport.js returned), the browser gone."""
    head = (pathlib.Path(__file__).parent / "webtransport.js").read_text()
    with Peer(extensions) as peer:
        return peer, page.run(browser, head + script, peer.plan, seconds)
