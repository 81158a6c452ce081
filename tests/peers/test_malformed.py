#!/usr/bin/env python3
"""A hostile client at a server where two others talk: whatever it sends, they lose no frame and the server survives."""
import asyncio
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

from aioquic.buffer import encode_uint_var as varint
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import Epoch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from mynahd import Mynahd  # noqa: E402
from raw_quic import CONNECT, REQUEST, SETTINGS, Raw, first_flight, frame, headers, initial, settings  # noqa: E402
from voice import connection, session  # noqa: E402
from voice_case import PATIENT, VoiceCase, off_loop  # noqa: E402


def udp(server, packets, pause_every=20):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", server.port))
        for i, packet in enumerate(packets):
            try:
                s.send(packet)
            except ConnectionError:
                pass
            if i % pause_every == pause_every - 1:
                time.sleep(0.002)  # not to fill the kernel's buffer, which would hit anybody


class Call:
    """call.py, running."""

    def __init__(self, server):
        self.process = subprocess.Popen([sys.executable, str(HERE / "call.py"), str(server.port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def report(self):
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Malformed(VoiceCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        # the vandal's own stack is not made for this either
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

    async def check(self, attack):
        """`attack` against a server with a call on it; the call goes on without a fault. Tried again if not, since a
        busy machine disturbs calls as well."""
        for attempt in range(3):
            await off_loop(self.call.report)
            await attack()
            await asyncio.sleep(0.25)
            reports = await off_loop(self.call.report)
            if not any(r["faults"] for r in reports):
                break
        for r in reports:
            self.assertEqual(r["faults"], 0, r)
            self.assertGreaterEqual(r["whole"], 5)
        self.assertIsNone(self.server.process.poll(), self.server.log())

    @classmethod
    def setUpClass(cls):
        cls.server = Mynahd(PATIENT + "[limits]\nconnect_timeout_ms = 1500\nretry_half_open = 1000\n")
        cls.server.start()
        cls.call = Call(cls.server)
        time.sleep(0.5)
        cls.call.report()

    @classmethod
    def tearDownClass(cls):
        cls.call.end()
        cls.server.wait_for_metric("mynah_connections", 0, 40)
        cls.server.stop()
        cls.server.dir.cleanup()

    # --- packets ----------------------------------------------------------------------------

    async def throw(self, packets):
        await self.check(lambda: off_loop(udp, self.server, packets))

    async def test_random_bytes(self):
        await self.throw([os.urandom(n % 1400 + 1) for n in range(1500)])

    async def test_random_bytes_with_a_long_header(self):
        await self.throw([b"\xc3\0\0\0\1" + os.urandom(1195) for _ in range(500)])

    async def test_initial_cut_short(self):
        whole = first_flight()[1][0]
        await self.throw([whole[:n] for n in range(1, len(whole), 7)])

    async def test_initial_with_bits_turned(self):
        whole = first_flight()[1][0]
        await self.throw([bytes(b ^ (1 << i % 8) if k == i else b for k, b in enumerate(whole))
                          for i in range(0, len(whole), 5)])

    async def test_wrong_versions(self):
        whole = first_flight()[1][0]
        await self.throw([whole[:1] + v.to_bytes(4, "big") + whole[5:] for v in
                          (0, 2, 0xFF00001D, 0x0A0A0A0A, 0x6B3343CF, 0xFFFFFFFF) for _ in range(30)])

    async def test_initial_with_garbage_in_crypto(self):
        await self.throw([initial(b"\x06\x00\x44\x00" + os.urandom(1024)) for _ in range(60)])

    async def test_initial_with_crypto_at_a_far_offset(self):
        await self.throw([initial(b"\x06" + varint(1 << k) + b"\x40\x64" + bytes(100)) for k in range(10, 61)])

    async def test_initial_with_frames_that_are_not_allowed(self):
        bodies = [b"\x08\0abc", b"\x1e", b"\x30abc", b"\x31\x02ab", b"\x18" + bytes(30), b"\x07\x02ab", b"\x3f\xff",
                  b"\x02" + b"\xff" * 40, b"\x02\x05\x00\x01\x06\x07", b"\x1c\0\0\0", b"\x01" * 500, b""]
        await self.throw([initial(body) for body in bodies for _ in range(5)])

    async def test_initial_with_a_bad_token(self):
        await self.throw([initial(b"\x06\x00\x01\x01", token=os.urandom(n)) for n in range(1, 200, 4)])

    async def test_first_flight_again_and_again(self):
        async def attack():
            for _ in range(40):  # ClientHello, and never another word
                await off_loop(udp, self.server, first_flight()[1])
        await self.check(attack)

    async def test_packets_for_connections_that_never_were(self):
        await self.throw([b"\x40" + os.urandom(60) for _ in range(1000)])

    # --- HTTP/3 -----------------------------------------------------------------------------

    async def raw(self, act, code=None, alive=None):
        """act(Raw) on a new connection. With `code` (or several) the server must end it with that; with `alive` it
        must not."""
        async def attack():
            async with connection(self.server, http3=False) as peer:
                raw = Raw(peer)
                result = act(raw)
                if asyncio.iscoroutine(result):
                    await result
                if code is not None:
                    await peer.until(lambda: peer.terminated, 5, "the end of the connection")
                    self.assertIn(peer.terminated.error_code, code if isinstance(code, tuple) else (code,),
                                  peer.terminated)
                elif alive:
                    await peer.ping()
                    self.assertIsNone(peer.terminated)
        await self.check(attack)

    async def test_settings_twice_the_same(self):
        await self.raw(lambda r: r.control([*SETTINGS.items(), (0x33, 1)]))  # an error if the receiver likes

    async def test_settings_with_a_wrong_value(self):
        await self.raw(lambda r: r.control([(0x33, 2)]), 0x109)

    async def test_settings_of_http2(self):
        await self.raw(lambda r: r.control([(0x2, 1)]), 0x109)

    async def test_settings_cut_in_the_middle_of_a_number(self):
        await self.raw(lambda r: r.uni(b"\0\x04\x01\x40"), (0x106, 0x109))

    async def test_settings_frame_twice(self):
        await self.raw(lambda r: r.write(r.control(), settings((0x33, 1))), 0x105)

    async def test_a_thousand_unknown_settings(self):
        await self.raw(lambda r: r.control([*SETTINGS.items(), *((0x1000 + 31 * i, i) for i in range(1000))]))

    async def test_no_settings_but_another_frame_first(self):
        await self.raw(lambda r: r.uni(b"\0" + frame(7, b"\0")), 0x10A)

    async def test_no_settings_at_all(self):
        async def act(r):
            r.bidi(headers(CONNECT))
            await asyncio.sleep(0.3)
        await self.raw(act)

    async def test_settings_one_byte_at_a_time(self):
        async def act(r):
            stream = r.uni(b"")
            for byte in b"\0" + settings(*SETTINGS.items()):
                r.write(stream, bytes([byte]))
                await asyncio.sleep(0)
            request = r.bidi(headers(REQUEST), True)
            await r.answered(request)
        await self.raw(act, alive=True)

    async def test_control_stream_ended(self):
        await self.raw(lambda r: r.write(r.control(), fin=True), 0x104)

    async def test_control_stream_reset(self):
        async def act(r):
            stream = r.control()
            await r.peer.ping()
            r.quic.reset_stream(stream, 0x10C)
            r.peer.transmit()
        await self.raw(act, 0x104)

    async def test_two_control_streams(self):
        await self.raw(lambda r: (r.control(), r.control()), 0x103)

    async def test_push_stream_from_a_client(self):
        await self.raw(lambda r: (r.control(), r.uni(b"\x01\x00")), 0x103)

    async def test_garbage_on_the_qpack_streams(self):
        await self.raw(lambda r: (r.control(), r.uni(b"\x02" + b"\xff" * 200)), (0x201, 0x200))
        await self.raw(lambda r: (r.control(), r.uni(b"\x03" + b"\xff" * 200)), (0x202,))

    async def test_unknown_uni_streams(self):
        await self.raw(lambda r: (r.control(), [r.uni(varint(0x21 + 31 * i) + os.urandom(500)) for i in range(8)]),
                       alive=True)

    async def test_data_before_headers(self):
        await self.raw(lambda r: (r.control(), r.bidi(frame(0, b"hello"))), 0x105)

    async def test_settings_on_a_request(self):
        await self.raw(lambda r: (r.control(), r.bidi(settings((0x33, 1)))), 0x105)

    async def test_frames_of_http2(self):
        for kind in 0x2, 0x6, 0x8, 0x9:
            await self.raw(lambda r: (r.control(), r.bidi(frame(kind, bytes(8)))), 0x105)

    async def test_unknown_frames(self):
        def act(r):
            r.control()
            return r.answered(r.bidi(b"".join(frame(0x21 + 31 * i, os.urandom(50)) for i in range(50)) +
                                     headers(REQUEST), True))
        await self.raw(act, alive=True)

    async def test_frame_that_promises_the_world(self):
        async def act(r):
            r.control()
            stream = r.bidi(b"\x01" + varint((1 << 62) - 1))
            for _ in range(100):
                r.write(stream, os.urandom(1000))
                await asyncio.sleep(0)
            await asyncio.sleep(0.2)
        await self.raw(act)

    async def test_huge_header_fields(self):
        async def act(r):
            r.control()
            block = headers(REQUEST)[2:] + (b"\x25x-abc\x7f\xb9\x16" + b"y" * 3000) * 30
            stream = r.bidi(frame(1, block), True)
            await r.peer.until(lambda: r.peer.terminated or r.peer.streams[stream], 5, "a refusal")
            self.assertNotIn(b'"status"', r.peer.streams[stream])
        await self.raw(act)

    async def test_headers_that_are_no_qpack(self):
        await self.raw(lambda r: (r.control(), r.bidi(frame(1, b"\0\0" + b"\xff" * 100))), 0x200)
        await self.raw(lambda r: (r.control(), r.bidi(frame(1, b"\xff" * 9))), 0x200)

    async def test_request_without_its_pseudo_headers(self):
        async def act(r):
            r.control()
            for left_out in CONNECT:
                r.bidi(headers([f for f in CONNECT if f is not left_out]))
            for fields in ([(b":method", b"GET")], [(b":path", b"/"), *REQUEST], [*REQUEST, (b":status", b"200")],
                           [*REQUEST, (b"Upper", b"case")], [*REQUEST, (b"x", b"a\nb")], [(b":method", b"")],
                           [*REQUEST, (b"content-length", b"5"), (b"content-length", b"6")]):
                r.bidi(headers(fields), True)
            await asyncio.sleep(0.2)
        await self.raw(act)

    async def test_many_requests(self):
        async def act(r):
            r.control()
            for i in range(300):
                r.bidi(headers(REQUEST), True)
                if i % 10 == 9:
                    await asyncio.sleep(0.01)
            await r.peer.ping()
        await self.raw(act, alive=True)

    # --- WebTransport -----------------------------------------------------------------------

    async def test_stream_of_a_session_that_cannot_be(self):
        for session_id in 1, 2, 3, 5:
            await self.raw(lambda r: (r.control(), r.bidi(varint(0x41) + varint(session_id) + b"hello")), 0x108)
            await self.raw(lambda r: (r.control(), r.uni(varint(0x54) + varint(session_id) + b"hello")), 0x108)

    async def test_streams_of_a_session_that_never_comes(self):
        async def act(r):
            r.control()
            for i in range(12):
                r.bidi(varint(0x41) + varint(400) + os.urandom(3000))
                r.uni(varint(0x54) + varint(400) + os.urandom(3000))
            await asyncio.sleep(0.2)
        await self.raw(act)

    async def session(self, act, code=None, alive=None):
        async def with_session(r):
            stream = await r.connect()
            result = act(r, stream)
            if asyncio.iscoroutine(result):
                await result
        await self.raw(with_session, code, alive)

    async def test_second_connect(self):
        def act(r, stream):
            return r.answered(r.bidi(headers(CONNECT)))
        await self.session(act, alive=True)

    async def test_headers_again_on_the_session(self):
        await self.session(lambda r, s: r.write(s, headers(CONNECT) + headers(REQUEST)), (0x105, 0x10E))

    async def test_capsules(self):
        def capsule(kind, length, value=b""):
            return frame(0, varint(kind) + varint(length) + value)
        await self.session(lambda r, s: r.write(s, capsule(0x2843, 4 + 1025, bytes(1029))), (0x10E, 0x33, 0x106, 0x100))
        await self.session(lambda r, s: r.write(s, capsule(0x2843, 1, b"x")), (0x10E, 0x33, 0x106, 0x100))
        await self.session(lambda r, s: r.write(s, b"".join(capsule(0x21 + 31 * i, 3, b"abc") for i in range(100))),
                           alive=True)

    async def test_unknown_capsule_that_promises_the_world(self):
        async def act(r, s):
            r.write(s, frame(0, varint(0x2121) + varint((1 << 62) - 1)))
            for _ in range(100):
                r.write(s, frame(0, os.urandom(1000)))
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
        await self.session(act)

    async def test_capsule_cut_off(self):
        await self.session(lambda r, s: r.write(s, frame(0, b"\x68\x43\x08\0\0"), True))

    async def test_bytes_after_close(self):
        async def act(r, s):
            r.write(s, frame(0, varint(0x2843) + varint(4) + bytes(4)) + frame(0, b"more" * 50))
            await r.peer.until(lambda: r.peer.terminated, 5, "the end")
        await self.session(act)

    async def test_datagrams_of_every_wrong_kind(self):
        async def act(r, s):
            good = varint(s // 4)
            for data in (b"", b"\xff", b"\x40", b"\x80\0", b"\xc0" + bytes(6), varint(5), varint(77) + bytes(100),
                         varint((1 << 60) - 1) + bytes(50), good, good + b"\xa0", good + b"\xa0\0",
                         good + b"\xa0\0x", good + b"\x4f\0" + bytes(20), good + b"\xff\x7f" + bytes(20),
                         good + b"\xff\xff" + bytes(20), good + b"\0\0" + bytes(999), good + b"\x50\0" + bytes(1100)):
                for _ in range(3):
                    r.quic.send_datagram_frame(data)
                    r.peer.transmit()
            await asyncio.sleep(0.1)
        await self.session(act)

    async def test_datagram_flood(self):
        async def act(r, s):
            for i in range(1000):
                r.quic.send_datagram_frame(varint(s // 4) + b"\xa0\0" + bytes(640))
                r.peer.transmit()
                if i % 20 == 19:
                    await asyncio.sleep(0.002)
            await r.peer.ping()
        await self.session(act, alive=True)

    async def test_loud_noise_at_every_rate(self):
        async def act(r, s):
            for i in range(200):
                r.quic.send_datagram_frame(varint(s // 4) + (80 + i * 2).to_bytes(2, "little") + os.urandom(400 + i))
                r.peer.transmit()
                await asyncio.sleep(0.001)
        await self.session(act, alive=True)

    async def test_streams_opened_and_reset_a_thousand_times(self):
        async def act(r, s):
            for i in range(1000):
                stream = r.bidi(varint(0x41) + varint(s) + b"x") if i % 2 else r.uni(varint(0x54) + varint(s) + b"x")
                r.quic.reset_stream(stream, 0x10C)
                r.peer.transmit()
                if i % 10 == 9:
                    await asyncio.sleep(0.003)
        await self.session(act)

    async def test_streams_that_stay_open(self):
        async def act(r, s):
            for i in range(100):
                r.bidi(varint(0x41) + varint(s) + b"x" * 200)
                r.uni(varint(0x54) + varint(s) + b"x" * 200)
            await asyncio.sleep(0.1)
        await self.session(act)

    async def test_lines_without_end(self):
        async def act(r, s):
            stream = r.bidi(varint(0x41) + varint(s))
            for _ in range(200):
                r.write(stream, b"x" * 1000)
                await asyncio.sleep(0)
            r.write(stream, b"\n" * 5000)
            await asyncio.sleep(0.1)
        await self.session(act, alive=True)

    async def test_lines_in_masses(self):
        async def act(r, s):
            stream = r.bidi(varint(0x41) + varint(s))
            for _ in range(100):
                r.write(stream, b'{"type":"message","text":"spam"}\n{"type":"stats"}\nnonsense\n' * 20)
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
        await self.session(act, alive=True)

    async def test_half_a_line_and_gone(self):
        async def attack():
            async with session(self.server, room="vandals") as peer:
                peer.write(b'{"type":"message","text":"I was just going to s')
                await peer.ping()
                peer.vanish()
        await self.check(attack)

    async def test_client_that_never_reads_its_control_stream(self):
        async def attack():
            config = QuicConfiguration()
            config.max_stream_data = 2000  # credit that is never renewed
            async with connection(self.server, http3=False, configuration=config) as peer:
                r = Raw(peer)
                r.quic._local_max_stream_data_bidi_local = 2000
                r.quic._write_stream_limits = lambda *args, **kwargs: None
                s = await r.connect()
                stream = r.bidi(varint(0x41) + varint(s))
                for _ in range(60):
                    r.write(stream, b"?\n" * 10)
                    await asyncio.sleep(0.005)
        await self.check(attack)

    # --- QUIC -------------------------------------------------------------------------------

    async def test_many_key_updates(self):
        async def act(r, s):
            for _ in range(10):
                r.peer.request_key_update()
                await r.peer.ping()
        await self.session(act, alive=True)

    async def test_key_updates_faster_than_allowed(self):
        async def act(r, s):
            for _ in range(50):
                r.quic._cryptos[Epoch.ONE_RTT].update_key()
                r.quic.send_ping(1)
                r.peer.transmit()
            await asyncio.sleep(0.1)
        await self.session(act)

    async def test_path_challenge_flood(self):
        await self.session(lambda r, s: r.frames(*(b"\x1a" + os.urandom(8) for _ in range(500))))

    async def test_path_response_nobody_asked_for(self):
        await self.session(lambda r, s: r.frames(*(b"\x1b" + os.urandom(8) for _ in range(50))))

    async def test_new_connection_ids_without_end(self):
        await self.session(lambda r, s: r.frames(*(b"\x18" + varint(i) + b"\0\x08" + os.urandom(24)
                                                   for i in range(100, 400))), (0x9, 0x7, 0xA))

    async def test_retired_connection_ids(self):
        await self.session(lambda r, s: r.frames(*(b"\x19" + varint(i) for i in range(1000, 1005))), 0xA)

    async def test_frames_of_quic_that_are_wrong(self):
        for body, code in ((b"\x3f", 0x7), (b"\x1e", 0xA), (b"\x07\x02ab", 0xA), (b"\x08\x03abc", (0x5, 0xA)),
                           (b"\x0c\x00\xff\xff\xff\xff\xff\xff\xff\xffab", (0x7, 0x3)), (b"\x11\x02\x00", 0x5),
                           (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff", (0x7,)), (b"\x02\xbf\xff\xff\xff\x00\x00\x00", 0xA),
                           (b"\x04\x40\xf0\x00\x00", 0x4), (b"\x16\xd0\0\0\0\0\0\0\1", 0x7)):
            with self.subTest(frame=body):
                await self.session(lambda r, s: r.frames(body), code)

    async def test_acks_in_masses(self):
        await self.session(lambda r, s: r.frames(*(b"\x02" + varint(3) + varint(0) + varint(0) + varint(i % 4)
                                                   for i in range(1000))))


if __name__ == "__main__":
    unittest.main()
