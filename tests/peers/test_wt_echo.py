#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wt layer against aioquic, through tests/tools/wt_echo: what a client must get, byte for byte.

    cmake --build --preset sanitize -t wt_echo
    python3 tests/peers/test_wt_echo.py [build/sanitize/tests/wt_echo]
"""
import asyncio
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import aioquic_client as wt  # noqa: E402
from aioquic_client import connect, dial, frame, varint  # noqa: E402

NO_ERROR, CLOSED_CRITICAL_STREAM, ID_ERROR, MESSAGE_ERROR, DATAGRAM_ERROR = 0x100, 0x104, 0x108, 0x10E, 0x33
SESSION_GONE, BUFFERED_STREAM_REJECTED = 0x170D7B68, 0x3994BD84
binary = pathlib.Path(__file__).resolve().parents[2] / "build/sanitize/tests/wt_echo"


class Echo(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = subprocess.Popen([binary, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
        _, port, self.sha256 = self.server.stdout.readline().split()
        self.port = int(port)

    def tearDown(self):
        """The server ends in peace, and its sanitizer is silent."""
        out, err = self.server.communicate(timeout=20)
        self.assertEqual(self.server.returncode, 0, err)
        self.told = out

    def session(self, path="/echo", **kwargs):
        return connect("127.0.0.1", self.port, path, sha256=self.sha256, **kwargs)

    def dial(self):
        return dial("127.0.0.1", self.port, sha256=self.sha256)

    async def test_settings_and_answer(self):
        async with self.session() as c:
            known = {k: v for k, v in c.server_settings.items() if (k - 0x21) % 0x1F}
            self.assertEqual(known, {0x1: 0, 0x7: 0, 0x6: 16384, 0x8: 1, 0x33: 1, 0x2B603742: 1, 0xC671706A: 1})
            self.assertEqual(c.headers, [(":status", "200"), ("sec-webtransport-http3-draft", "draft02")])

    async def test_datagrams(self):
        async with self.session() as c:
            for size in (1, 2, 642, 1024):
                c.send_datagram(b"x" * size)
                self.assertEqual(await c.datagram(), b"x" * size)
            c.send_datagram(b"")
            c.send_datagram(b"other", session=400)
            c.send_datagram(b"mine")
            self.assertEqual(await c.datagram(), b"mine")

    async def test_streams(self):
        async with self.session() as c:
            for size in (0, 1, 60000):
                stream = c.open_stream(b"y" * size, fin=True)
                self.assertEqual(await stream.read_to_end(), b"y" * size)
            c.open_stream(b"one way", bidi=False, fin=True)
            self.assertEqual(await (await c.next_stream()).read_to_end(), b"one way")
            long_head = c.open_raw(varint(0x41, 8) + varint(0, 8) + b"long")
            self.assertEqual(await long_head.read(4), b"long")

    async def test_close_by_the_client(self):
        async with self.session() as c:
            stream = c.open_stream(b"z")
            await stream.read(1)
            c.close(7, "bye")
            event = await c.ended()
            self.assertEqual(event.error_code, NO_ERROR)
            self.assertEqual(stream.reset_code, SESSION_GONE)
            self.assertEqual(c.close_code, 0)  # a FIN and no capsule

    async def test_close_by_the_server(self):
        async with self.session("/echo?close=42") as c:
            c.send_datagram(b"now")
            self.assertEqual(await c.closed(), (42, "as you asked"))
            self.assertEqual((await c.ended()).error_code, NO_ERROR)

    async def test_fin(self):
        async with self.session() as c:
            c.send_raw(c.session_id, b"", fin=True)
            self.assertEqual(await c.closed(), (0, ""))
            self.assertEqual((await c.ended()).error_code, NO_ERROR)

    async def test_refusal(self):
        async with self.session("/nope", expect=404) as c:
            status, headers, body = await c.answer(c.session_id)
            self.assertEqual((status, body), (404, b"not found\n"))
            self.assertEqual((await c.ended()).error_code, NO_ERROR)
        async with self.session(protocol="websocket", expect=501):
            pass
        async with self.session(protocol="webtransport-h3"):
            pass

    async def test_second_session(self):
        async with self.session() as c:
            second = c.ask_session("/echo")
            self.assertEqual((await c.answer(second))[0], 429)
            c.send_datagram(b"lives")
            self.assertEqual(await c.datagram(), b"lives")

    async def test_early(self):
        async with self.dial() as c:
            c.start_http()
            c._quic._get_or_create_stream_for_send(0)  # the CONNECT is to be stream 0
            early = c.open_raw(varint(0x41) + varint(0) + b"early")
            c.send_raw_datagram(varint(0) + b"early, too")
            await asyncio.sleep(0.1)
            c.session_id = 0
            c.kinds[0], c.readers[0], c.responses[0] = "request", wt.Reader(), [None, b"", False]
            c.send_raw(0, c.headers_frame(0, c.connect_fields("/echo")))
            self.assertEqual(await early.read(5), b"early")

    async def test_safari_gets_credit(self):
        async with self.session(settings=wt.SAFARI_SETTINGS) as c:
            await c.wait(lambda c: len(c.capsules) == 3)
            self.assertEqual([k for k, _ in c.capsules], [wt.MAX_DATA, wt.MAX_STREAMS_BIDI, wt.MAX_STREAMS_UNI])
            self.assertEqual(len(c.data_frames), 3)

    async def test_plain_requests(self):
        async with self.dial() as c:
            c.start_http()
            status, headers, body = await c.get("/")
            self.assertEqual((status, body, dict(headers)["content-length"]), (200, b"hello\n", "6"))
            self.assertEqual((await c.get("/", "HEAD"))[2], b"")

    async def test_wrong_clients_are_told_why(self):
        cases = [
            (lambda c: c.open_raw(varint(0x41) + varint(3)), ID_ERROR),
            (lambda c: c.send_raw(c.control_id, b"", fin=True), CLOSED_CRITICAL_STREAM),
            (lambda c: c.send_raw_datagram(b"\xd0\0\0\0\0\0\0\0z"), DATAGRAM_ERROR),
        ]
        for act, code in cases:
            async with self.session() as c:
                act(c)
                self.assertEqual((await c.ended()).error_code, code)
        async with self.session() as c:
            c.send_raw(c.session_id, frame(wt.DATA, varint(wt.CLOSE) + varint(1029)))
            stream = c.stream(c.session_id)
            await stream.wait(lambda s: s.reset_code is not None)
            self.assertEqual(stream.reset_code, MESSAGE_ERROR)

    async def test_key_update(self):
        async with self.session() as c:
            c.send_datagram(b"1")
            await c.datagram()
            c._quic.request_key_update()
            c.send_datagram(b"2")
            self.assertEqual(await c.datagram(), b"2")

    async def test_pinned_certificate(self):
        with self.assertRaises(wt.WrongCertificate):
            async with dial("127.0.0.1", self.port, sha256="00" * 32):
                pass


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and pathlib.Path(sys.argv[1]).is_file():
        binary = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
