"""A voice client on aioquic: one WebTransport session with its datagrams and its control stream, and what
is needed to judge the sound. The audio goes by the clock of the media: frame i is due i * 20 ms after the first."""
import asyncio
import collections
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import time
import urllib.parse

import numpy as np
from aioquic.asyncio.client import connect as quic_connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.connection import H3Connection, encode_frame
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (ConnectionTerminated, DatagramFrameReceived, ProtocolNegotiated, StreamDataReceived,
                                 StreamReset)
from cryptography.hazmat.primitives.serialization import Encoding

CLOSE_CAPSULE = 0x2843
DRAIN_CAPSULE = 0x78AE

Frame = collections.namedtuple("Frame", "at rate samples")
Numbered = collections.namedtuple("Numbered", "at rate samples epoch sequence time begins ends")
V1, V1_BEGINS, V1_ENDS = 0x8000, 0x10, 0x20


def rate_of(field):
    return {110: 11025, 220: 22050}.get(field, field * 100)


class Peer(QuicConnectionProtocol):
    """A connection that speaks HTTP/3 and at most one session. Nothing is sent but what a test asks for."""

    def __init__(self, *args, http3=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = None
        self.with_http3 = http3
        self.session = None       # stream id of the CONNECT
        self.status = None        # of its answer
        self.body = b""           # of a refusal
        self.frames = []          # of Frame
        self.numbered = []        # v1 frames, of Numbered
        self.raw = []             # datagram payloads that are no frame
        self.lines = []           # of the control stream, parsed
        self.control = None       # its stream id
        self.resets = {}          # stream id: code
        self.stops = {}           # stream id: code
        self.streams = {}         # of ours: bytes received
        self.ended = None         # (code, reason) of a CLOSE capsule
        self.draining = False
        self.session_fin = False
        self.terminated = None    # the event
        self.responses = {}       # stream id: [headers, body, ended]
        self._capsules = b""
        self._text = b""
        self._change = asyncio.Event()

    # --- events ---------------------------------------------------------------------------

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated) and self.with_http3:
            self.h3 = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, DatagramFrameReceived):
            self._datagram(event.data)
        elif isinstance(event, StreamDataReceived) and event.stream_id in self.streams:
            self._own_stream(event)
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, ConnectionTerminated):
            self.terminated = event
        elif self.h3:
            for answer in self.h3.handle_event(event):
                self._http(answer)
        self._change.set()

    def _datagram(self, data):
        buf = Buffer(data=data)
        quarter = buf.pull_uint_var()
        payload = data[buf.tell():]
        if self.session is None or quarter * 4 != self.session or len(payload) < 4 or len(payload) % 2:
            self.raw.append(data)
            return
        field = int.from_bytes(payload[:2], "little")
        if field & V1:
            self._numbered(field, payload)
            return
        self.frames.append(Frame(time.monotonic(), rate_of(field), np.frombuffer(payload, "<i2", offset=2)))

    def _numbered(self, field, payload):
        _, source, epoch, rate, sequence, media = struct.unpack("<HBBHHI", payload[:12])
        assert field & ~(V1_BEGINS | V1_ENDS) == V1 and source == 0, payload[:12].hex()
        self.numbered.append(Numbered(time.monotonic(), rate_of(rate), np.frombuffer(payload, "<i2", offset=12), epoch,
                                      sequence, media, bool(field & V1_BEGINS), bool(field & V1_ENDS)))

    def _own_stream(self, event):
        self.streams[event.stream_id] += event.data
        if event.stream_id == self.control:
            *lines, self._text = (self._text + event.data).split(b"\n")
            for line in lines:
                self._line(json.loads(line))

    def _line(self, line):
        """A bridge that is down already when one comes counts as if it went down then."""
        self.lines.append(line)
        if line["type"] == "welcome":
            self.lines += [{"type": "bridge", "id": who["id"], "up": False, "text": who["text"]}
                           for who in line["participants"] if not who.get("up", True)]

    def _http(self, event):
        if isinstance(event, HeadersReceived):
            headers = dict(event.headers)
            self.responses[event.stream_id] = [headers, b"", event.stream_ended]
            if event.stream_id == self.session:
                self.status = int(headers[b":status"])
                self.session_fin |= event.stream_ended
        elif isinstance(event, DataReceived):
            response = self.responses[event.stream_id]
            response[1] += event.data
            response[2] |= event.stream_ended
            if event.stream_id != self.session:
                return
            self.session_fin |= event.stream_ended
            if self.status == 200:
                self._capsules += event.data
                self._take_capsules()
            else:
                self.body += event.data

    def _take_capsules(self):
        while True:
            buf = Buffer(data=self._capsules)
            try:
                kind, length = buf.pull_uint_var(), buf.pull_uint_var()
                value = buf.pull_bytes(length)
            except BufferReadError:
                return
            self._capsules = self._capsules[buf.tell():]
            if kind == CLOSE_CAPSULE:
                self.ended = (int.from_bytes(value[:4], "big"), value[4:].decode())
            elif kind == DRAIN_CAPSULE:
                self.draining = True

    # --- waiting --------------------------------------------------------------------------

    async def until(self, condition, seconds=10, what="something"):
        """Waits until condition() is true; its value."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited {seconds} s for {what}; lines: {self.lines[-6:]}; "
                                     f"terminated: {self.terminated}")
            self._change.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._change.wait(), min(left, 0.2))

    async def expect(self, kind, seconds=10, start=0, **fields):
        """The first line from `start` on with this type and these fields; waits for it."""
        def found():
            for line in self.lines[start:]:
                if line["type"] == kind and all(line.get(k) == v for k, v in fields.items()):
                    return line
            return None
        return await self.until(found, seconds, f"{kind} {fields}")

    async def settled(self):
        """Returns when the server has seen all that was sent before and has answered it."""
        await self.ping()

    # --- what a client does ---------------------------------------------------------------

    def request(self, path, method=b"GET", authority=b"localhost", extra=(), end=True):
        stream = self._quic.get_next_available_stream_id()
        self.h3.send_headers(stream, [(b":method", method), (b":scheme", b"https"), (b":authority", authority),
                                      (b":path", path.encode()), *extra], end_stream=end)
        self.transmit()
        return stream

    async def open_session(self, path, origin=None, authority="localhost", protocol=b"webtransport", seconds=10):
        """Sends the CONNECT and waits for its answer; the status."""
        extra = [(b":protocol", protocol)]
        self.session = self._quic.get_next_available_stream_id()
        headers = [(b":method", b"CONNECT"), (b":scheme", b"https"), (b":authority", authority.encode()),
                   (b":path", path.encode()), *extra, (b"sec-webtransport-http3-draft02", b"1")]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        await self.until(lambda: self.h3.received_settings, seconds, "SETTINGS")
        self.h3.send_headers(self.session, headers)
        self.transmit()
        await self.until(lambda: self.status or self.terminated, seconds, "the answer to CONNECT")
        if self.status != 200:
            await self.until(lambda: self.session_fin or self.terminated, seconds, "the end of a refusal")
        return self.status

    def open_stream(self, data=b"", uni=False, fin=False):
        """A stream of the session."""
        stream = self._quic.get_next_available_stream_id(is_unidirectional=uni)
        self.streams[stream] = b""
        prefix = encode_uint_var(0x54 if uni else 0x41) + encode_uint_var(self.session)
        self._quic.send_stream_data(stream, prefix + data, fin)
        self.transmit()
        return stream

    async def open_control(self, seconds=10):
        self.control = self.open_stream()
        return await self.expect("welcome", seconds)

    def write(self, data):
        self._quic.send_stream_data(self.control, data)
        self.transmit()

    def say(self, kind, **fields):
        self.write(json.dumps({"type": kind, **fields}).encode() + b"\n")

    async def stats(self):
        start = len(self.lines)
        self.say("stats")
        return await self.expect("stats", start=start)

    def send_datagram(self, payload):
        self._quic.send_datagram_frame(encode_uint_var(self.session // 4) + payload)
        self.transmit()

    def send_pcm(self, *pieces, rate=16000):
        """Each piece in a datagram of its own, all at once."""
        for pcm in pieces:
            payload = (rate // 100).to_bytes(2, "little") + np.asarray(pcm, "<i2").tobytes()
            self._quic.send_datagram_frame(encode_uint_var(self.session // 4) + payload)
        self.transmit()

    def send_v1(self, pcm, sequence, media, rate=16000, flags=0):
        head = struct.pack("<HBBHHI", V1 | flags, 0, 0, rate // 100, sequence & 0xFFFF, media & 0xFFFFFFFF)
        self.send_datagram(head + np.asarray(pcm, "<i2").tobytes())

    def close_session(self, code=0, reason=""):
        """By a CLOSE capsule and the end of the CONNECT stream."""
        capsule = code.to_bytes(4, "big") + reason.encode()
        capsule = encode_uint_var(CLOSE_CAPSULE) + encode_uint_var(len(capsule)) + capsule
        self._quic.send_stream_data(self.session, encode_frame(0, capsule), True)
        self.transmit()

    async def move(self):
        """From another port from now on, as a router may decide."""
        old = self._transport
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=sock)
        old.close()

    def vanish(self):
        """From now on the network takes nothing from us and brings us nothing."""
        if self._timer:
            self._timer.cancel()
        self._transport.abort()
        self.transmit = lambda: None
        self.closed_by_test = True
        self._closed.set()

    def certificate_sha256(self):
        return hashlib.sha256(self._quic.tls._peer_certificate.public_bytes(Encoding.DER)).hexdigest()

    # --- what was heard -------------------------------------------------------------------

    def heard(self):
        """All samples received so far, in one piece."""
        return np.concatenate([f.samples for f in self.frames]) if self.frames else np.zeros(0, "<i2")


def path_of(room=None, name=None, rate=None, path="/audio", **query):
    query = {k: v for k, v in {"room": room, "name": name, "rate": rate, **query}.items() if v is not None}
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


@contextlib.asynccontextmanager
async def connection(server, host="127.0.0.1", http3=True, idle=60.0, configuration=None):
    """A QUIC connection to `server`; left over what it may, it is closed at the end."""
    configuration = configuration or QuicConfiguration()
    configuration.alpn_protocols = ["h3"]
    configuration.is_client = True
    configuration.verify_mode = ssl.CERT_NONE
    configuration.max_datagram_frame_size = 65536
    configuration.idle_timeout = idle
    configuration.server_name = "localhost"
    def protocol(*args, **kwargs):
        return Peer(*args, http3=http3, **kwargs)

    peer = None
    try:
        async with quic_connect(host, server.port, configuration=configuration, create_protocol=protocol) as peer:
            yield peer
    finally:
        if peer:
            peer._transport.close()  # the one that it moved to


@contextlib.asynccontextmanager
async def session(server, room=None, name=None, rate=None, control=True, origin=None, host="127.0.0.1", idle=60.0,
                  **query):
    """A session in a room, its control stream open unless `control` is false."""
    async with connection(server, host=host, idle=idle) as peer:
        status = await peer.open_session(path_of(room, name, rate, **query), origin=origin)
        if status != 200:
            raise AssertionError(f"CONNECT was answered {status}: {peer.body.decode()}")
        if control:
            welcome = await peer.open_control()
            peer.id = welcome["participant"]
        yield peer


@contextlib.asynccontextmanager
async def sessions(server, wanted):
    """One session for each dict of arguments, all open at once."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(session(server, **w)) for w in wanted]


# --- sound ------------------------------------------------------------------------------------


def tones(rate, *parts):
    """A sound as a function of (first sample, how many): sines of (Hz, dBFS of the peak)."""
    def sound(start, n):
        t = (start + np.arange(n)) / rate
        x = sum(32767 * 10 ** (db / 20) * np.sin(2 * np.pi * hz * t) for hz, db in parts)
        return np.round(x).astype("<i2")
    return sound


def silence(start, n):
    return np.zeros(n, "<i2")


async def talk(peer, sound, seconds, rate=16000, frame_ms=20, pieces=1, start=0):
    """Sends `seconds` of sound, each frame when it is due, cut into `pieces` datagrams. Frame i holds the samples
    that belong to its time, also where a rate has no whole number of them."""
    t0 = asyncio.get_running_loop().time()
    n_frames = round(seconds * 1000 / frame_ms)
    for i in range(n_frames):
        a, b = (round((i + k) * rate * frame_ms / 1000) for k in (0, 1))
        cuts = [a + (b - a) * k // pieces for k in range(pieces + 1)]
        peer.send_pcm(*(sound(start + c, d - c) for c, d in zip(cuts, cuts[1:])), rate=rate)
        wait = t0 + (i + 1) * frame_ms / 1000 - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)


async def after_sound(*peers, seconds=2):
    """Waits until nobody has received a frame for a while: what was sent has arrived."""
    end = time.monotonic() + seconds + 10
    while time.monotonic() < end:
        newest = max((p.frames[-1].at for p in peers if p.frames), default=0)
        if time.monotonic() - newest > 0.4:
            return
        await asyncio.sleep(0.1)


def fit(x, rate, *hz):
    """Least squares of sines on x: [peak level of each in dBFS], and the ratio of them all to the rest in dB."""
    x = np.asarray(x, float) / 32768
    t = np.arange(len(x)) / rate
    basis = np.concatenate([[np.sin(2 * np.pi * f * t), np.cos(2 * np.pi * f * t)] for f in hz] + [[np.ones(len(x))]]).T
    w, *_ = np.linalg.lstsq(basis, x, rcond=None)
    rest = x - basis @ w
    peaks = [20 * np.log10(max(np.hypot(w[2 * i], w[2 * i + 1]), 1e-9)) for i in range(len(hz))]
    signal = np.mean((basis @ w) ** 2)
    return peaks, 10 * np.log10(max(signal, 1e-18) / max(np.mean(rest ** 2), 1e-18))


def quality(x, rate, *hz):
    """Sines judged in pieces of 100 ms: [the level of each over all], the median and the worst signal to noise.
    A client that is late itself makes the server expect a hole and smooth it, so single pieces near 50 dB are
    its own fault; a frame that is missing leaves less than 20 dB."""
    levels, _ = fit(x, rate, *hz)
    noise = [fit(block, rate, *hz)[1] for block in np.array_split(x, max(1, len(x) * 10 // rate))]
    return levels, float(np.median(noise)), min(noise)
