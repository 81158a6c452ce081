"""QUIC and HTTP/3 by hand, for clients that do what no library lets them do: streams written byte by byte, packets of
frames of our own making, and Initials without a connection."""
import os

import pylsqpack
from aioquic.buffer import Buffer, encode_uint_var as varint
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch

V1 = 1
SETTINGS = {0x1: 0, 0x7: 0, 0x8: 1, 0x33: 1, 0x2B603742: 1}
REQUEST = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/healthz")]
CONNECT = [(b":method", b"CONNECT"), (b":protocol", b"webtransport"), (b":scheme", b"https"),
           (b":authority", b"localhost"), (b":path", b"/audio?room=vandals")]


# --- HTTP/3 by hand -------------------------------------------------------------------------


def frame(kind, body=b""):
    return varint(kind) + varint(len(body)) + body


def settings(*pairs):
    return frame(4, b"".join(varint(k) + varint(v) for k, v in pairs))


def headers(fields):
    encoder = pylsqpack.Encoder()  # without a dynamic table: nothing on the encoder stream
    return frame(1, encoder.encode(0, fields)[1])


class Raw:
    """Streams, written byte by byte, on a connection without HTTP/3 of aioquic's."""

    def __init__(self, peer):
        self.peer, self.quic = peer, peer._quic

    def bidi(self, data=b"", fin=False):
        return self.open(False, data, fin)

    def uni(self, data=b"", fin=False):
        return self.open(True, data, fin)

    def open(self, uni, data, fin):
        stream = self.quic.get_next_available_stream_id(is_unidirectional=uni)
        self.peer.streams[stream] = b""
        self.write(stream, data, fin)
        return stream

    def write(self, stream, data=b"", fin=False):
        self.quic.send_stream_data(stream, data, fin)
        self.peer.transmit()

    def control(self, pairs=tuple(SETTINGS.items())):
        return self.uni(b"\0" + settings(*pairs))

    async def connect(self):
        """A session, opened by hand; returns the id of its stream."""
        self.control()
        stream = self.bidi(headers(CONNECT))
        await self.answered(stream)
        self.peer.session = stream
        return stream

    async def answered(self, stream):
        await self.peer.until(lambda: self.peer.streams[stream], what="an answer")

    def frames(self, *frames):
        """QUIC frames of our own making, one packet each."""
        for data in frames:
            builder = QuicPacketBuilder(host_cid=self.quic.host_cid, peer_cid=self.quic._peer_cid.cid,
                                        version=self.quic._version, is_client=True, max_datagram_size=1200,
                                        packet_number=self.quic._packet_number)
            builder.start_packet(QuicPacketType.ONE_RTT, self.quic._cryptos[Epoch.ONE_RTT])
            buf = builder.start_frame(data[0], len(data) + 1)
            buf.push_bytes(data[1:])
            for datagram in builder.flush()[0]:
                self.peer._transport.sendto(datagram, self.quic._network_paths[0].addr)
            self.quic._packet_number = builder.packet_number


# --- packets without a connection -------------------------------------------------------------


def first_flight():
    """The first packets of a client that means it."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"])
    configuration.max_datagram_frame_size = 65536
    quic = QuicConnection(configuration=configuration)
    quic.connect(("127.0.0.1", 1), now=0)
    return quic, [data for data, _ in quic.datagrams_to_send(now=0)]


def initial(payload, token=b"", version=V1, size=1200):
    """An Initial that is properly sealed, around whatever frames."""
    dcid, scid = os.urandom(8), os.urandom(8)
    crypto = CryptoPair()
    crypto.setup_initial(dcid, is_client=True, version=V1)
    payload = payload.ljust(size - 60 - len(token), b"\0")
    buf = Buffer(capacity=2048)
    buf.push_uint8(0xC0 | 1)
    buf.push_uint32(version)
    for cid in dcid, scid:
        buf.push_uint8(len(cid))
        buf.push_bytes(cid)
    buf.push_uint_var(len(token))
    buf.push_bytes(token)
    buf.push_uint16(0x4000 | (2 + len(payload) + 16))
    buf.push_uint16(0)
    return crypto.encrypt_packet(buf.data, payload, 0)
