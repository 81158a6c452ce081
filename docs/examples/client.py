#!/usr/bin/env python3
"""A client on aioquic (Debian: python3-aioquic; else: pip install aioquic) that joins a room, sings for two seconds in
v1 frames, prints what the room tells, and says how much it heard.

    python3 client.py localhost 4433                        # a private room, with its bridge
    python3 client.py localhost 4433 "room=lobby&name=Ann"

The certificate is not looked at, as suits a development server; leave out verify_mode where it is an ordinary one."""
import asyncio
import json
import math
import ssl
import struct
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DatagramReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived

RATE, FRAME = 16000, 320  # 20 ms
BEGINS, ENDS = 0x10, 0x20


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic, enable_webtransport=True)
        self.status, self.control, self.line, self.heard = asyncio.get_running_loop().create_future(), None, b"", 0

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived) and event.stream_id == self.control:
            *lines, self.line = (self.line + event.data).split(b"\n")
            return [print(json.loads(line)) for line in lines]
        for e in self.h3.handle_event(event):
            if isinstance(e, HeadersReceived):
                self.status.set_result(dict(e.headers)[b":status"].decode())
            elif isinstance(e, DatagramReceived):
                self.heard += (len(e.data) - 12) // 2  # samples after the header; at 2 the epoch, at 4 the sequence

    async def join(self, authority, query):
        session = self._quic.get_next_available_stream_id()
        self.h3.send_headers(session, [(b":method", b"CONNECT"), (b":scheme", b"https"), (b":authority", authority.encode()),
                                       (b":path", f"/audio?frames=v1&{query}".encode()), (b":protocol", b"webtransport")])
        self.transmit()
        if (status := await self.status) != "200":
            sys.exit(f"refused: {status}")
        self.control = self.h3.create_webtransport_stream(session)
        self.say({"type": "ping", "t": 0})  # the stream is there for the server from its first byte on
        return session

    def say(self, line):
        self._quic.send_stream_data(self.control, json.dumps(line).encode() + b"\n")
        self.transmit()

    async def sing(self, session, hz, frames):
        loop = asyncio.get_running_loop()
        start = loop.time()
        for i in range(frames):
            flags = BEGINS * (i == 0) | ENDS * (i == frames - 1)
            pcm = [round(8000 * math.sin(2 * math.pi * hz * (i * FRAME + k) / RATE)) for k in range(FRAME)]
            self.h3.send_datagram(session, struct.pack(f"<HBBHHI{FRAME}h", 0x8000 | flags, 0, 0, RATE // 100, i, i * FRAME, *pcm))
            self.transmit()
            await asyncio.sleep(max(0, start + (i + 1) * 0.02 - loop.time()))


async def main(host, port, query=""):
    quic = QuicConfiguration(is_client=True, alpn_protocols=["h3"], max_datagram_frame_size=65536, verify_mode=ssl.CERT_NONE)
    async with connect(host, int(port), configuration=quic, create_protocol=Client) as client:
        session = await client.join(f"{host}:{port}", query)
        await client.sing(session, 440, 100)
        await asyncio.sleep(3)  # a parrot answers after a pause
        client.say({"type": "bye"})
        print(f"heard {client.heard / RATE:.2f} s")


asyncio.run(main(*sys.argv[1:]))
