#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peer_aioquic.py: a WebTransport echo server on aioquic, for comparison: its own HTTP/3, nothing above it.

Says "ready PORT"; ends with its standard input.
"""
import asyncio
import datetime
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DatagramReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


class Echo(QuicConnectionProtocol):
    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        if self.http is None:
            return
        for got in self.http.handle_event(event):
            if isinstance(got, DatagramReceived):
                self.http.send_datagram(got.stream_id, got.data)
            elif isinstance(got, HeadersReceived) and (b":method", b"CONNECT") in got.headers:
                self.http.send_headers(got.stream_id, [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")])
                self.transmit()


def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
               .not_valid_after(now + datetime.timedelta(days=10))
               .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False))
    return builder.sign(key, hashes.SHA256()), key


async def main():
    config = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65536)
    config.certificate, config.private_key = certificate()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: QuicServer(configuration=config, create_protocol=Echo), local_addr=("127.0.0.1", 0))
    print("ready", transport.get_extra_info("sockname")[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
