# SPDX-License-Identifier: MIT
"""A WebTransport client on aioquic's QUIC with HTTP/3 of its own, for tests.

aioquic's H3Connection refuses to write what a test wants to write (cut frames, two CONNECTs,
capsules of any length), so only its QUIC is used here. Everything that arrives is kept and can be awaited.

    async with connect("127.0.0.1", 4433, "/audio?room=a", sha256=hash) as client:
        client.send_datagram(b"...")
        reply = await client.datagram()
        stream = client.open_stream(b"hello", fin=True)
        await stream.read_to_end()
        client.close(7, "bye")
        await client.ended()
"""
import asyncio
import contextlib
import hashlib
import socket
import ssl

import pylsqpack
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

CHROME_SETTINGS = {0x1: 65536, 0x7: 100, 0x33: 1, 0x2B603742: 1, 0x1F * 11 + 0x21: 1}
SAFARI_SETTINGS = {0x1: 16383, 0x7: 100, 0x33: 1, 0xC671706A: 1, 0x14E9CD29: 1, 0x2B61: 8388608,
                   0x2B64: 100, 0x2B65: 100, 0x1F * 5 + 0x21: 1}
CLOSE, DRAIN = 0x2843, 0x78AE
MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI = 0x190B4D3D, 0x190B4D3F, 0x190B4D40
DATA, HEADERS, SETTINGS, GOAWAY = 0x0, 0x1, 0x4, 0x7


def varint(value, size=0):
    """`size` 0: the shortest form; else 1, 2, 4 or 8 bytes."""
    if not size:
        return encode_uint_var(value)
    mark = {1: 0, 2: 1, 4: 2, 8: 3}[size] << (8 * size - 2)
    return (value | mark).to_bytes(size, "big")


def frame(kind, payload=b""):
    return varint(kind) + varint(len(payload)) + payload


def close_capsule(code, reason=b""):
    return frame(CLOSE, code.to_bytes(4, "big") + reason)


def code_to_h3(n):
    return 0x52E4A40FA8DB + n + n // 0x1E


def code_from_h3(h):
    """None if there is no application code in it."""
    if not 0x52E4A40FA8DB <= h <= 0x52E5AC983162 or (h - 0x21) % 0x1F == 0:
        return None
    return (h - 0x52E4A40FA8DB) - (h - 0x52E4A40FA8DB) // 0x1F


class Reader:
    """Cuts a growing string of bytes into (type, payload): frames, or the capsules inside DATA."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        while True:
            buf = Buffer(data=self.data)
            try:
                kind, size = buf.pull_uint_var(), buf.pull_uint_var()
                payload = buf.pull_bytes(size)
            except BufferReadError:
                return
            self.data = self.data[buf.tell():]
            yield kind, payload


class Stream:
    """One stream, opened by either side. `data` are the bytes after the WebTransport head."""

    def __init__(self, client, stream_id):
        self.client, self.id = client, stream_id
        self.data, self.fin = b"", False
        self.reset_code = self.stop_code = None
        self.changed = asyncio.Event()

    def send(self, data, fin=False):
        """Raw bytes; no head and no frame is added."""
        self.client.send_raw(self.id, data, fin)

    def reset(self, code=0):
        self.client._quic.reset_stream(self.id, code)
        self.client.transmit()

    def stop(self, code=0):
        self.client._quic.stop_stream(self.id, code)
        self.client.transmit()

    def _note(self):
        self.changed.set()

    async def wait(self, condition, timeout=5):
        async with asyncio.timeout(timeout):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()

    async def read(self, size, timeout=5):
        """At least `size` bytes; returns all there are, and forgets them."""
        await self.wait(lambda s: len(s.data) >= size or s.over, timeout)
        data, self.data = self.data, b""
        return data

    async def line(self, timeout=5):
        await self.wait(lambda s: b"\n" in s.data or s.over, timeout)
        line, _, self.data = self.data.partition(b"\n")
        return line

    async def read_to_end(self, timeout=5):
        await self.wait(lambda s: s.over, timeout)
        return self.data

    @property
    def over(self):
        return self.fin or self.reset_code is not None or self.client.terminated is not None


class Client(QuicConnectionProtocol):
    """Made by connect(). Attributes tests look at:

    server_settings   dict, once the server's SETTINGS came
    status, headers   of the answer to the CONNECT
    datagrams         payloads not yet taken by datagram()
    capsules          [(type, value)] of the CONNECT stream
    data_frames       sizes of its DATA frames
    goaway            the id of the last GOAWAY
    close_code, close_reason   of a CLOSE capsule; (0, "") after a mere FIN
    terminated        the QUIC event, once the connection has ended
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.streams, self.readers, self.kinds = {}, {}, {}
        self.server_settings = self.status = self.goaway = self.terminated = None
        self.close_code = self.close_reason = None
        self.headers, self.datagrams, self.capsules, self.data_frames = [], [], [], []
        self.responses = {}  # stream id -> [headers, body, finished]
        self.incoming = []  # streams that the server opened
        self.session_id = None
        self.capsule_reader = Reader()
        self.encoder, self.decoder = pylsqpack.Encoder(), pylsqpack.Decoder(0, 0)
        self.changed = asyncio.Event()
        self.handshake_done = False
        self.control_id = None

    # --- sending

    def send_raw(self, stream_id, data, fin=False):
        self._quic.send_stream_data(stream_id, data, fin)
        self.transmit()

    def open_raw(self, data=b"", bidi=True, fin=False):
        """A stream with just these bytes."""
        stream_id = self._quic.get_next_available_stream_id(is_unidirectional=not bidi)
        stream = self.stream(stream_id)
        self.kinds[stream_id] = "raw"
        self.send_raw(stream_id, data, fin)
        return stream

    def open_stream(self, data=b"", bidi=True, fin=False, session=None):
        """A WebTransport stream of the session."""
        session = self.session_id if session is None else session
        return self.open_raw(varint(0x41 if bidi else 0x54) + varint(session) + data, bidi, fin)

    def start_http(self, settings=None, extra=b""):
        """Control and QPACK streams; `settings` None: as Chrome."""
        settings = CHROME_SETTINGS if settings is None else settings
        body = b"".join(varint(k) + varint(v) for k, v in settings.items())
        self.control_id = self.open_raw(b"\x00" + frame(SETTINGS, body) + extra, bidi=False).id
        self.open_raw(b"\x02", bidi=False)
        self.open_raw(b"\x03", bidi=False)

    def headers_frame(self, stream_id, fields):
        _, block = self.encoder.encode(stream_id, [(k.encode(), v.encode()) for k, v in fields])
        return frame(HEADERS, block)

    def request(self, fields, body=b"", fin=True):
        """Any request; its answer appears in responses[id]."""
        stream_id = self._quic.get_next_available_stream_id()
        self.stream(stream_id)
        self.kinds[stream_id] = "request"
        self.readers[stream_id] = Reader()
        self.responses[stream_id] = [None, b"", False]
        data = self.headers_frame(stream_id, fields) + (frame(DATA, body) if body else b"")
        self.send_raw(stream_id, data, fin)
        return stream_id

    def connect_fields(self, path, authority="localhost", origin=None, protocol="webtransport", extra=()):
        fields = [(":method", "CONNECT"), (":scheme", "https"), (":authority", authority), (":path", path),
                  (":protocol", protocol), ("sec-webtransport-http3-draft02", "1")]
        return fields + ([("origin", origin)] if origin else []) + list(extra)

    def ask_session(self, path, grease=True, **kwargs):
        """Sends the CONNECT and, as Chrome does, a greased capsule right behind it."""
        stream_id = self.request(self.connect_fields(path, **kwargs), fin=False)
        if self.session_id is None:
            self.session_id = stream_id
        if grease:
            self.send_raw(stream_id, frame(DATA, frame(41 * 1000 + 23, b"grease")))
        return stream_id

    def send_datagram(self, payload, session=None):
        session = self.session_id if session is None else session
        self.send_raw_datagram(varint(session // 4) + payload)

    def send_raw_datagram(self, data):
        self._quic.send_datagram_frame(data)
        self.transmit()

    def send_capsule(self, kind, value=b"", fin=False):
        self.send_raw(self.session_id, frame(DATA, frame(kind, value)), fin)

    def close(self, code=0, reason="", fin=True):
        """CLOSE capsule and FIN. The connection stays, as it does with Chrome."""
        self.send_raw(self.session_id, frame(DATA, close_capsule(code, reason.encode())), fin)

    def vanish(self):
        """As if the power failed: no packet leaves or arrives any more."""
        self._transport.close()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self.transmit = lambda: None

    # --- receiving

    def stream(self, stream_id):
        return self.streams.setdefault(stream_id, Stream(self, stream_id))

    def _note(self):
        self.changed.set()
        for stream in self.streams.values():
            stream._note()

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            self.handshake_done = True
        elif isinstance(event, events.StreamDataReceived):
            self._stream_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, events.StreamReset):
            self.stream(event.stream_id).reset_code = event.error_code
        elif isinstance(event, events.StopSendingReceived):
            self.stream(event.stream_id).stop_code = event.error_code
        elif isinstance(event, events.DatagramFrameReceived):
            buf = Buffer(data=event.data)
            if self.session_id is not None and buf.pull_uint_var() * 4 == self.session_id:
                self.datagrams.append(event.data[buf.tell():])
        elif isinstance(event, events.ConnectionTerminated):
            self.terminated = event
        self._note()

    def _stream_data(self, stream_id, data, fin):
        stream = self.stream(stream_id)
        kind = self.kinds.get(stream_id)
        if kind == "raw":
            stream.data += data
        elif kind == "request":
            self._request_data(stream_id, data, fin)
        else:
            self._server_stream(stream, data)
        stream.fin |= fin

    def _server_stream(self, stream, data):
        """A stream of the server: the first varints say which."""
        stream.data += data
        buf = Buffer(data=stream.data)
        if stream.id not in self.readers:
            try:
                kind = buf.pull_uint_var()
                if kind in (0x41, 0x54):
                    buf.pull_uint_var()
                    self.kinds[stream.id] = "raw"
                    self.incoming.append(stream)
                    stream.data = stream.data[buf.tell():]
                    return
            except BufferReadError:
                return
            self.readers[stream.id] = Reader()
            self.readers[stream.id].kind = kind
            data = stream.data[buf.tell():]
        if self.readers[stream.id].kind == 0:
            for kind, payload in self.readers[stream.id].feed(data):
                self._control_frame(kind, payload)

    def _control_frame(self, kind, payload):
        buf = Buffer(data=payload)
        if kind == SETTINGS:
            self.server_settings = {}
            while not buf.eof():
                key = buf.pull_uint_var()
                self.server_settings[key] = buf.pull_uint_var()
        elif kind == GOAWAY:
            self.goaway = buf.pull_uint_var()

    def _request_data(self, stream_id, data, fin):
        answer = self.responses[stream_id]
        for kind, payload in self.readers[stream_id].feed(data):
            if kind == HEADERS:
                _, fields = self.decoder.feed_header(stream_id, payload)
                answer[0] = [(k.decode(), v.decode()) for k, v in fields]
                if stream_id == self.session_id:
                    self.headers = answer[0]
                    self.status = int(dict(answer[0])[":status"])
            elif kind == DATA:
                answer[1] += payload
                if stream_id == self.session_id and self.status == 200:
                    self.data_frames.append(len(payload))
                    self._capsules(payload)
        answer[2] |= fin
        if fin and stream_id == self.session_id and self.status == 200 and self.close_code is None:
            self.close_code, self.close_reason = 0, ""

    def _capsules(self, data):
        for kind, value in self.capsule_reader.feed(data):
            self.capsules.append((kind, value))
            if kind == CLOSE:
                self.close_code = int.from_bytes(value[:4], "big")
                self.close_reason = value[4:].decode()

    # --- waiting

    async def wait(self, condition, timeout=5):
        """Until condition(self) is true; TimeoutError, ConnectionError if the connection ended before."""
        async with asyncio.timeout(timeout):
            while not condition(self):
                if self.terminated is not None:
                    raise ConnectionError(f"connection ended: {self.terminated}")
                self.changed.clear()
                await self.changed.wait()

    async def datagram(self, timeout=5):
        await self.wait(lambda c: c.datagrams, timeout)
        return self.datagrams.pop(0)

    async def next_stream(self, timeout=5):
        await self.wait(lambda c: c.incoming, timeout)
        return self.incoming.pop(0)

    async def answer(self, stream_id, timeout=5):
        """(status, headers, body) of a request."""
        await self.wait(lambda c: c.responses[stream_id][2], timeout)
        fields, body, _ = self.responses[stream_id]
        return int(dict(fields)[":status"]), fields, body

    async def get(self, path, method="GET", authority="localhost", timeout=5):
        return await self.answer(self.request([(":method", method), (":scheme", "https"), (":authority", authority),
                                               (":path", path)]), timeout)

    async def closed(self, timeout=5):
        """(code, reason) of the session's end, told by the server."""
        await self.wait(lambda c: c.close_code is not None, timeout)
        return self.close_code, self.close_reason

    async def ended(self, timeout=5):
        """The event that ended the connection."""
        async with asyncio.timeout(timeout):
            while self.terminated is None:
                self.changed.clear()
                await self.changed.wait()
        return self.terminated


class WrongCertificate(Exception):
    pass


def leaf_sha256(client):
    from cryptography.hazmat.primitives.serialization import Encoding
    return hashlib.sha256(client._quic.tls._peer_certificate.public_bytes(Encoding.DER)).digest()


@contextlib.asynccontextmanager
async def dial(host, port, sha256=None, datagrams=65536, timeout=5, **configuration):
    """A QUIC connection with finished handshake and nothing of HTTP/3 sent. `sha256` (bytes or
    hex) pins the certificate; without it any is taken. Other arguments: QuicConfiguration."""
    config = QuicConfiguration(is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE,
                               server_name="localhost", max_datagram_frame_size=datagrams, **configuration)
    loop = asyncio.get_running_loop()
    address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    quic = QuicConnection(configuration=config)
    sock = socket.socket(address[0], socket.SOCK_DGRAM)
    sock.bind(("::" if address[0] == socket.AF_INET6 else "0.0.0.0", 0))
    transport, client = await loop.create_datagram_endpoint(lambda: Client(quic), sock=sock)
    try:
        client.connect(address[4])
        await client.wait(lambda c: c.handshake_done, timeout)
        pin = bytes.fromhex(sha256) if isinstance(sha256, str) else sha256
        if pin is not None and leaf_sha256(client) != pin:
            raise WrongCertificate(leaf_sha256(client).hex())
        yield client
    finally:
        if not transport.is_closing():
            QuicConnectionProtocol.close(client, error_code=0x100)
            transport.close()


@contextlib.asynccontextmanager
async def connect(host, port, path, sha256=None, settings=None, expect=200, authority=None, origin=None,
                  protocol="webtransport", grease=True, timeout=5, **configuration):
    """A session. `expect` None: whatever the server answers; else anything but this status is an
    AssertionError."""
    async with dial(host, port, sha256, timeout=timeout, **configuration) as client:
        client.start_http(settings)
        client.ask_session(path, grease=grease, authority=authority or f"localhost:{port}", origin=origin,
                           protocol=protocol)
        await client.wait(lambda c: c.status is not None, timeout)
        assert expect is None or client.status == expect, f"status {client.status}, expected {expect}"
        yield client
