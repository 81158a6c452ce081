"""Attacks from the network, by layer: packets that belong to nobody, QUIC, HTTP/3, sessions, the page's port.

What comes at a rate comes at ten times that of a person: 500 frames, 200 lines a second. For the rest see kit.py."""
import asyncio
import contextlib
import json
import os
import random
import socket
import ssl
import struct

from aioquic.buffer import encode_uint_var as varint
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import Epoch

from kit import GOES_ON, ROOM, attack
from raw_quic import CONNECT, REQUEST, first_flight, frame, headers, initial, settings
from voice import Peer, connection, path_of, quic_connect

FRAMES, LINES = 500, 200
PACKETS = 3000  # a second, of those that belong to nobody; more than Python sends on a busy machine
SOUND = b"\xa0\0" + bytes(640)


# --- packets that belong to nobody ------------------------------------------------------------------


def udp(server):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.connect(("127.0.0.1", server.port))
    return s


async def throw(a, packet, per_s=PACKETS):
    """packet(i) again and again."""
    with udp(a.server) as s:
        async for i in a.pace(per_s):
            with contextlib.suppress(OSError):
                s.send(packet(i))
    return GOES_ON


@attack("packets", "random bytes", fast=True)
async def noise(a):
    return await throw(a, lambda i: os.urandom(i % 1400 + 1))


@attack("packets", "datagrams of nothing")
async def datagrams_of_nothing(a):
    return await throw(a, lambda i: b"")


@attack("packets", "a long header, then noise")
async def noise_with_a_long_header(a):
    return await throw(a, lambda i: b"\xc3\0\0\0\1" + os.urandom(1195))


@attack("packets", "short headers of connections that never were")
async def short_headers_of_nobody(a):
    return await throw(a, lambda i: b"\x40" + os.urandom(60))


@attack("packets", "the head of an Initial, well-formed, with noise behind it", fast=True, pending="beginnings that fail are dear")
async def initials_of_noise(a):
    def packet(i):
        cids = b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
        return b"\xc1\0\0\0\1" + cids + b"\0" + struct.pack(">H", 0x4000 | 1170) + os.urandom(1170)
    return await throw(a, packet)


@attack("packets", "sealed Initials with crumbs of CRYPTO", pending="beginnings that fail are dear")
async def crumbs_of_crypto(a):
    return await throw(a, lambda i: initial(b"".join(b"\x06" + varint(k * 7) + b"\x01x" for k in range(200))), 1000)


@attack("packets", "sealed Initials whose CRYPTO lies far away")
async def crypto_far_away(a):
    return await throw(a, lambda i: initial(b"\x06" + varint(1 << 10 + i % 50) + b"\x40\x64" + bytes(100)), 1000)


@attack("packets", "a ClientHello that is none", fast=True)
async def garbage_in_crypto(a):
    return await throw(a, lambda i: initial(b"\x06\x00\x44\x00" + os.urandom(1024)), 1000)


@attack("packets", "Initials with frames that do not belong there")
async def forbidden_frames_in_initials(a):
    bodies = [b"\x08\0abc", b"\x1e", b"\x30abc", b"\x31\x02ab", b"\x18" + bytes(30), b"\x07\x02ab", b"\x3f\xff", b"\x02" + b"\xff" * 40]
    return await throw(a, lambda i: initial(bodies[i % len(bodies)]), 1000)


@attack("packets", "Initials with guessed tokens")
async def guessed_tokens(a):
    return await throw(a, lambda i: initial(b"\x06\x00\x01\x01", token=b"\xb6" + os.urandom(i % 200)), 1000)


@attack("packets", "versions that do not exist, each asks for an answer", fast=True)
async def versions_that_do_not_exist(a):
    whole = first_flight()[1][0]
    return await throw(a, lambda i: whole[:1] + (0x0A0A0A0A + i).to_bytes(4, "big") + whole[5:])


@attack("packets", "one ClientHello again and again")
async def first_flight_replayed(a):
    flight = first_flight()[1]
    return await throw(a, lambda i: flight[i % len(flight)])


@attack("packets", "ClientHellos with turned bits")
async def first_flights_with_turned_bits(a):
    whole = first_flight()[1][0]

    def packet(i):
        k = i * 5 % len(whole)
        return whole[:k] + bytes([whole[k] ^ (1 << i % 8)]) + whole[k + 1:]
    return await throw(a, packet)


@attack("packets", "ClientHellos, cut short")
async def first_flights_cut_short(a):
    whole = first_flight()[1][0]
    return await throw(a, lambda i: whole[:i % len(whole)])


@attack("packets", "several packets in one datagram, the later ones of other connections")
async def foreign_packets_in_one_datagram(a):
    whole = first_flight()[1][0]
    return await throw(a, lambda i: whole[:600] + whole[:600], 1000)


@attack("packets", "ClientHello, and never another word: 100 a second", fast=True, grows_mib=24)
async def first_flights_and_silence(a):
    with udp(a.server) as s:
        async for _ in a.pace(100):
            for packet in first_flight()[1]:
                with contextlib.suppress(OSError):
                    s.send(packet)
    return GOES_ON


@attack("packets", "what a ClientHello of an address that was not proven gets back: at most three times what it sent", "at most 3", fast=True)
async def amplification(a):
    worst = 0
    async for _ in a.pace(5):
        with udp(a.server) as s:
            sent = sum(map(s.send, first_flight()[1]))
            got = 0
            for _ in range(10):
                await asyncio.sleep(0.05)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        got += len(s.recv(2000))
            worst = max(worst, got / sent)
    return "at most 3" if worst <= 3 else f"{worst:.2f}"


# --- QUIC --------------------------------------------------------------------------------------------


@attack("quic", "people who connect and vanish, 50 a second", grows_mib=16)
async def connect_and_vanish(a):
    async def one():
        async with a.raw() as r:
            r.peer.vanish()
    return await crowd(a, one, 50)


@attack("quic", "people who connect and leave, 50 a second", fast=True, grows_mib=8)
async def connect_and_leave(a):
    async def one():
        async with a.raw():
            pass
    return await crowd(a, one, 50)


async def crowd(a, one, per_s):
    """one() so often, each by itself; refusals are no fault."""
    tasks = set()
    async for _ in a.pace(per_s):
        if len(tasks) < 2 * per_s:
            task = asyncio.ensure_future(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=10)
    return GOES_ON


@attack("quic", "150 connections that ask for nothing", grows_mib=24)
async def idle_connections(a):
    async with contextlib.AsyncExitStack() as stack:
        async for i in a.pace(100):
            if i < 150:
                with contextlib.suppress(ConnectionError):
                    await stack.enter_async_context(a.raw())
    return GOES_ON


async def frames_of_quic(a, make, per_s=FRAMES, wait=True):
    """make(i), a packet of its own, from a session."""
    async with a.raw() as r:
        handlers = r.quic._QuicConnection__frame_handlers
        handlers[0x1b] = lambda context, kind, buf: buf.pull_bytes(8), handlers[0x1b][1]  # aioquic takes those it did not ask for amiss
        await r.connect()
        async for i in a.pace(per_s):
            if r.peer.terminated:
                break
            r.frames(make(i))
        return await (a.told(r.peer) if wait else a.alive(r.peer))


def one_frame(name, body, answer, what, fast=False):
    """A frame that nobody may send ends the connection with its code; others follow with new ones."""
    async def run(a):
        answers = set()
        async for _ in a.pace(10):
            async with a.raw() as r:
                await r.connect()
                r.frames(body)
                answers.add(await a.told(r.peer))
        return " ".join(sorted(answers))
    run.__name__ = name
    attack("quic", what, answer, fast)(run)


one_frame("unknown_frame", b"\x3f", "0x7", "a frame of a type that does not exist")
one_frame("handshake_done_from_a_client", b"\x1e", "0xa", "HANDSHAKE_DONE from a client")
one_frame("new_token_from_a_client", b"\x07\x02ab", "0xa", "NEW_TOKEN from a client")
one_frame("stream_never_opened", b"\x11\x02\x00", "0x5", "MAX_STREAM_DATA of a stream that nobody opened")
one_frame("data_beyond_numbers", b"\x0c\x00\xff\xff\xff\xff\xff\xff\xff\xffab", ("0x7", "0x3"), "stream data beyond 2^62")
one_frame("ack_of_what_was_never_sent", b"\x02\xbf\xff\xff\xff\x00\x00\x00", "0xa", "ACK of packets that were never sent", fast=True)
one_frame("reset_beyond_the_window", b"\x04\x40\xf0\x00\x00", "0x4", "a stream beyond those allowed")
one_frame("retired_ids_that_were_never_given", b"\x19" + varint(1000), "0xa", "RETIRE_CONNECTION_ID of ids that were never given")


@attack("quic", "PATH_CHALLENGE, 500 a second", fast=True)
async def path_challenges(a):
    return await frames_of_quic(a, lambda i: b"\x1a" + os.urandom(8), wait=False)


@attack("quic", "PATH_RESPONSE that nobody asked for")
async def path_responses(a):
    return await frames_of_quic(a, lambda i: b"\x1b" + os.urandom(8), wait=False)


@attack("quic", "new connection ids without end", ("0x9", "0x7", "0xa"), fast=True)
async def new_connection_ids(a):
    return await frames_of_quic(a, lambda i: b"\x18" + varint(100 + i) + b"\0\x08" + os.urandom(24))


@attack("quic", "PING, 500 a second")
async def pings(a):
    return await frames_of_quic(a, lambda i: b"\x01", wait=False)


@attack("quic", "ACK of one packet over and over")
async def acks(a):
    return await frames_of_quic(a, lambda i: b"\x02" + varint(3) + varint(0) + varint(0) + varint(i % 4), wait=False)


@attack("quic", "MAX_DATA and MAX_STREAMS that grow by one")
async def credit_in_crumbs(a):
    return await frames_of_quic(a, lambda i: b"\x10" + varint((1 << 30) + i) + b"\x13" + varint(200 + i), wait=False)


@attack("quic", "complaints that there is no credit")
async def blocked(a):
    return await frames_of_quic(a, lambda i: b"\x14" + varint(i) + b"\x16" + varint(i % 16), wait=False)


@attack("quic", "a stream's data, empty")
async def empty_stream_frames(a):
    return await frames_of_quic(a, lambda i: b"\x0a\x00\x00", wait=False)


@attack("quic", "TLS messages after the handshake", ("0x100", "0x10a", "0x12f", "0x132", "0xd", "goes on"))
async def crypto_after_the_handshake(a):
    return await frames_of_quic(a, lambda i: b"\x06" + varint(i * 40) + varint(40) + os.urandom(40))


@attack("quic", "key updates faster than allowed", ("0xe", "goes on"))
async def key_updates(a):
    async with a.raw() as r:
        await r.connect()
        async for _ in a.pace(50):
            if r.peer.terminated:
                break
            r.quic._cryptos[Epoch.ONE_RTT].update_key()
            r.quic.send_ping(1)
            r.peer.transmit()
    return GOES_ON


@attack("quic", "a person who comes from another port fifty times a second")
async def moves(a):
    async with a.caller() as p:
        async for _ in a.pace(50):
            await p.move()
            p.send_datagram(SOUND)
        return await a.alive(p)


@attack("quic", "handshakes for another protocol than HTTP/3", "0x178")
async def another_protocol(a):
    answers = set()
    async for _ in a.pace(20):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["hq-interop"], verify_mode=ssl.CERT_NONE)
        async with quic_connect("127.0.0.1", a.server.port, configuration=configuration, create_protocol=Peer, wait_connected=False) as peer:
            peer.transmit()
            answers.add(await a.told(peer))
    return " ".join(sorted(answers))


# --- HTTP/3 ------------------------------------------------------------------------------------------


def http3(name, act, answer, what, fast=False):
    """act(Raw) on a new connection each time, ten a second."""
    async def run(a):
        answers = set()
        async for _ in a.pace(10):
            async with a.raw() as r:
                act(r)
                answers.add(await (a.alive(r.peer) if answer == GOES_ON else a.told(r.peer)))
        return " ".join(sorted(answers))
    run.__name__ = name
    attack("http3", what, answer, fast)(run)


http3("settings_twice", lambda r: r.write(r.control(), settings((0x33, 1))), "0x105", "SETTINGS twice")
http3("settings_of_http2", lambda r: r.control([(0x2, 1)]), "0x109", "settings of HTTP/2")
http3("settings_missing", lambda r: r.uni(b"\0" + frame(7, b"\0")), "0x10a", "another frame before SETTINGS")
http3("settings_by_the_thousand", lambda r: r.control([(0x1000 + 31 * i, i) for i in range(1000)]), "0x107", "a thousand unknown settings", fast=True)
http3("control_stream_twice", lambda r: (r.control(), r.control()), "0x103", "two control streams")
http3("control_stream_ended", lambda r: r.write(r.control(), fin=True), "0x104", "the end of the control stream")
http3("push_from_a_client", lambda r: (r.control(), r.uni(b"\x01\x00")), "0x103", "a push stream")
http3("data_before_headers", lambda r: (r.control(), r.bidi(frame(0, b"hello"))), "0x105", "DATA before HEADERS")
http3("frames_of_http2", lambda r: (r.control(), r.bidi(frame(0x6, bytes(8)))), "0x105", "frames of HTTP/2")
http3("headers_that_are_no_qpack", lambda r: (r.control(), r.bidi(frame(1, b"\0\0" + b"\xff" * 100))), "0x200", "a field section that is none", fast=True)
http3("qpack_table_that_was_not_allowed", lambda r: (r.control(), r.uni(b"\x02\x3f\xe1\x1f" + b"\x41a\x01b" * 200)), "0x201", "entries for a table of size 0")
http3("qpack_acknowledgements", lambda r: (r.control(), r.uni(b"\x03" + b"\xff" * 200)), "0x202", "acknowledgements of field sections that never were")
http3("webtransport_stream_of_nothing", lambda r: (r.control(), r.bidi(varint(0x41) + varint(1) + b"hello")), "0x108", "a stream of a session that cannot be")


async def on_control(a, make, per_s=FRAMES):
    async with a.raw() as r:
        stream = r.control()
        async for i in a.pace(per_s):
            if r.peer.terminated:
                break
            r.write(stream, make(i))
        return await a.alive(r.peer)


@attack("http3", "unknown frames on the control stream, 5000 a second", "0x107", fast=True)
async def unknown_frames(a):
    return await on_control(a, lambda i: b"".join(frame(0x21 + 31 * k, os.urandom(20)) for k in range(10)))


@attack("http3", "GOAWAY over and over", (GOES_ON, "0x108"))
async def goaways(a):
    return await on_control(a, lambda i: frame(7, b"\0"))


@attack("http3", "MAX_PUSH_ID and PRIORITY_UPDATE in masses", (GOES_ON, "0x105", "0x108"))
async def priorities(a):
    return await on_control(a, lambda i: frame(0xD, varint(i + 1)) + frame(0xF0700, varint(4 * (i % 16)) + b"u=" + b"%d" % (i % 8)))


@attack("http3", "GET, 300 a second on one connection", fast=True)
async def requests(a):
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(300):
            r.bidi(headers(REQUEST), True)
        return await a.alive(r.peer)


@attack("http3", "requests that are reset at once (rapid reset)", (GOES_ON, "0x107", "0x4"), fast=True)
async def rapid_reset(a):
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(FRAMES):
            if r.peer.terminated:
                break
            r.quic.reset_stream(r.bidi(headers(REQUEST)), 0x10C)
            r.peer.transmit()
        return await a.alive(r.peer)


@attack("http3", "answers that are refused at once (STOP_SENDING)", (GOES_ON, "0x107", "0x4"))
async def stop_sending(a):
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(FRAMES):
            if r.peer.terminated:
                break
            r.quic.stop_stream(r.bidi(headers(REQUEST), True), 0x10C)
            r.peer.transmit()
        return await a.alive(r.peer)


@attack("http3", "a frame that promises the world", (GOES_ON, "0x107", "0x200"))
async def frame_of_the_world(a):
    async with a.raw() as r:
        r.control()
        stream = r.bidi(b"\x01" + varint((1 << 62) - 1))
        async for _ in a.pace(FRAMES):
            r.write(stream, os.urandom(1000))
        return await a.alive(r.peer)


@attack("http3", "90 KB of header fields", (GOES_ON, "0x107", "0x100"))
async def huge_header_fields(a):
    block = headers(REQUEST)[2:] + (b"\x25x-abc\x7f\xb9\x16" + b"y" * 3000) * 30
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(10):
            r.bidi(frame(1, block), True)
        return await a.alive(r.peer)


@attack("http3", "requests that end in the middle of their head and stay")
async def half_requests(a):
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(20):
            r.bidi(headers(REQUEST)[:-3])
        return await a.alive(r.peer)


@attack("http3", "a control stream, byte by byte")
async def settings_byte_by_byte(a):
    async with a.raw() as r:
        stream = r.uni()
        data = b"\0" + settings((0x33, 1), (0x8, 1)) + frame(0x21, bytes(60)) * 100
        async for i in a.pace(FRAMES):
            r.write(stream, data[i % len(data):i % len(data) + 1] if i < len(data) else frame(0x21))
        return await a.alive(r.peer)


@attack("http3", "streams of sessions that never come", (GOES_ON, "0x108", "0x107"))
async def streams_of_no_session(a):
    async with a.raw() as r:
        r.control()
        async for _ in a.pace(20):
            if r.peer.terminated:
                break
            r.bidi(varint(0x41) + varint(400) + os.urandom(3000))
            r.uni(varint(0x54) + varint(400) + os.urandom(3000))
        return await a.told(r.peer, 0.5)


# --- sessions ----------------------------------------------------------------------------------------


async def datagrams(a, payload, per_s=FRAMES, room=ROOM):
    async with a.caller(room) as p:
        async for i in a.pace(per_s):
            if p.terminated:
                break
            p.send_datagram(payload(i))
        return await a.alive(p)


@attack("session", "500 frames a second of one person in the room", fast=True)
async def sound_at_ten_times_the_rate(a):
    return await datagrams(a, lambda i: SOUND)


@attack("session", "frames of noise at every rate, a new one each time", fast=True)
async def a_new_rate_each_time(a):
    return await datagrams(a, lambda i: (80 + i % 400).to_bytes(2, "little") + os.urandom(400 + i % 400))


@attack("session", "frames of one sample, 2000 a second")
async def crumbs_of_sound(a):
    return await datagrams(a, lambda i: b"\xa0\0\x01\0", 2000)


@attack("session", "datagrams of every wrong kind")
async def wrong_datagrams(a):
    kinds = [b"", b"\xa0", b"\xa0\0", b"\xa0\0x", b"\x4f\0" + bytes(20), b"\xff\x7f" + bytes(20), b"\xff\xff" + bytes(20), b"\0\0" + bytes(999)]
    return await datagrams(a, lambda i: kinds[i % len(kinds)])


@attack("session", "v1 frames whose sequence and time leap", fast=True)
async def leaping_sequences(a):
    def payload(i):
        return struct.pack("<HBBHHI", 0x8000 | random.choice((0, 0x10, 0x20)), 0, 0, 160, random.randrange(1 << 16), random.randrange(1 << 32)) + bytes(640)
    return await datagrams(a, payload)


@attack("session", "v1 frames that all have one number")
async def one_sequence_number(a):
    return await datagrams(a, lambda i: struct.pack("<HBBHHI", 0x8000, 0, 0, 160, 7, 0) + bytes(640))


@attack("session", "full scale, against the signs of each other")
async def loudest_noise(a):
    return await datagrams(a, lambda i: b"\xa0\0" + b"\xff\x7f\x00\x80" * 160, 50)


@attack("session", "datagrams of sessions that are not there")
async def datagrams_of_other_sessions(a):
    async with a.caller() as p:
        async for i in a.pace(FRAMES):
            p._quic.send_datagram_frame(varint(1 + i % 5000) + SOUND)
            p.transmit()
        return await a.alive(p)


async def lines(a, line, per_s=LINES, room=ROOM):
    async with a.caller(room) as p:
        async for i in a.pace(per_s):
            if p.terminated:
                break
            p.write(line(i))
        return await a.alive(p)


def message(text):
    return json.dumps({"type": "message", "text": text}).encode() + b"\n"


@attack("session", "200 messages a second to the victims' room", fast=True)
async def messages_at_ten_times_the_rate(a):
    return await lines(a, lambda i: message("spam " * 20))


@attack("session", "three people in the victims' room write 8 messages of 4000 bytes at once, each second", fast=True, pending="bursts of messages")
async def bursts_of_messages(a):
    async with a.caller(ROOM) as p, a.caller(ROOM) as q, a.caller(ROOM) as r:
        async for _ in a.pace(1):
            for peer in p, q, r:
                peer.write(message("x" * 4000) * 8)
        return await a.alive(p)


@attack("session", "`mute` on and off in the victims' room, 200 times a second", fast=True)
async def mute_on_and_off(a):
    return await lines(a, lambda i: b'{"type":"mute","muted":%s}\n' % (b"true" if i % 2 else b"false"))


@attack("session", "`ping`, `stats` and `played` in masses")
async def small_questions(a):
    kinds = [b'{"type":"ping","t":1}\n', b'{"type":"stats"}\n', b'{"type":"played","epoch":3,"samples":99999999}\n']
    return await lines(a, lambda i: kinds[i % 3] * 5)


@attack("session", "lines that are no JSON, or JSON without end", fast=True)
async def lines_that_are_no_json(a):
    kinds = [b"nonsense\n", b"[" * 8000 + b"\n", b'{"type":' * 500 + b"\n", b'{"type":"message","text":"\\ud800"}\n', b"\xff\xfe\n", b"\0\n",
             b'{"type":"ping","t":1e999999}\n', b'{"type":"message","to":-1,"text":"x"}\n']
    return await lines(a, lambda i: kinds[i % len(kinds)])


@attack("session", "a line without end")
async def line_without_end(a):
    return await lines(a, lambda i: b"x" * 1000)


@attack("session", "empty lines, 20,000 a second")
async def empty_lines(a):
    return await lines(a, lambda i: b"\n" * 100)


@attack("session", "messages to one victim by its id, and to people who are not there")
async def messages_to_one(a):
    return await lines(a, lambda i: json.dumps({"type": "message", "to": i % 20, "text": "psst " * 50}).encode() + b"\n")


@attack("session", "a client that never reads what is written to it, in the victims' room")
async def never_reads(a):
    configuration = QuicConfiguration()
    configuration.max_stream_data = 2000
    async with a.raw(configuration=configuration) as r:
        r.quic._local_max_stream_data_bidi_local = 2000
        r.quic._write_stream_limits = lambda *args, **kwargs: None
        r.control()
        s = r.bidi(headers([*CONNECT[:-1], (b":path", path_of(ROOM).encode())]))
        await r.answered(s)
        stream = r.bidi(varint(0x41) + varint(s))
        async for _ in a.pace(LINES):
            r.write(stream, b'{"type":"stats"}\n?\n')
    return GOES_ON


@attack("session", "people who come into the victims' room and go, ten a second", fast=True, grows_mib=8)
async def come_and_go(a):
    async def one():
        with contextlib.suppress(AssertionError, ConnectionError):
            async with a.caller(ROOM):
                pass
    return await crowd(a, one, 10)


@attack("session", "people who come into the victims' room and vanish", grows_mib=8)
async def come_and_vanish(a):
    async def one():
        with contextlib.suppress(AssertionError, ConnectionError):
            async with a.caller(ROOM) as p:
                p.vanish()
    return await crowd(a, one, 10)


async def by_hand(a, act, per_s=FRAMES, seconds=0.5):
    """act(r, session's stream, i) so often."""
    async with a.raw() as r:
        s = await r.connect()
        async for i in a.pace(per_s):
            if r.peer.terminated:
                break
            act(r, s, i)
        return await a.told(r.peer, seconds)


@attack("session", "streams that are opened and reset, 500 a second", (GOES_ON, "0x107", "0x4"), fast=True)
async def streams_opened_and_reset(a):
    def act(r, s, i):
        r.quic.reset_stream(r.bidi(varint(0x41) + varint(s) + b"x") if i % 2 else r.uni(varint(0x54) + varint(s) + b"x"), 0x10C)
        r.peer.transmit()
    return await by_hand(a, act)


@attack("session", "streams that stay open")
async def streams_that_stay(a):
    return await by_hand(a, lambda r, s, i: r.bidi(varint(0x41) + varint(s) + b"x" * 200), 100)


@attack("session", "CONNECT again and again on one connection")
async def second_sessions(a):
    return await by_hand(a, lambda r, s, i: r.bidi(headers(CONNECT)), 50)


@attack("session", "unknown capsules, 5000 a second", fast=True)
async def unknown_capsules(a):
    return await by_hand(a, lambda r, s, i: r.write(s, frame(0, b"".join(varint(0x21 + 31 * k) + b"\x03abc" for k in range(10)))))


@attack("session", "a capsule that promises the world", (GOES_ON, "0x107"))
async def capsule_of_the_world(a):
    return await by_hand(a, lambda r, s, i: r.write(s, frame(0, os.urandom(1000) if i else varint(0x2121) + varint((1 << 62) - 1))))


@attack("session", "capsules in DATA frames of one byte")
async def capsules_in_crumbs(a):
    return await by_hand(a, lambda r, s, i: r.write(s, b"".join(frame(0, bytes([b])) for b in b"\x40\x40\x03abc")))


@attack("session", "DRAIN and unknown credit in masses", (GOES_ON,))
async def capsules_of_the_field(a):
    return await by_hand(a, lambda r, s, i: r.write(s, frame(0, varint(0x78AE) + b"\0" + varint(0x190B4D3D) + b"\x01\x05")))


async def asked(a, **how):
    """The status of a CONNECT."""
    async with connection(a.server) as p:
        room = how.pop("room", "elsewhere")
        name = how.pop("name", None)
        return str(await p.open_session(path_of(room, name), **how))


@attack("session", "a page of a foreign name that was made to lead here (DNS rebinding)", "403", fast=True)
async def foreign_page_of_the_same_host(a):
    answers = {await asked(a, origin="https://evil.example", authority="evil.example") async for _ in a.pace(10)}
    return " ".join(sorted(answers))


@attack("session", "spellings of an Origin that is none", "403")
async def odd_origins(a):
    odd = ["null", "https://localhost.evil.example", "https://localhost:443:443", "https://127.1", "http://[::1", "https://localhost@evil.example",
           "file://", "https://localhost/path", "https://a https://b", "javascript:alert(1)"]
    answers = {await asked(a, origin=odd[i % len(odd)]) async for i in a.pace(20)}
    return " ".join(sorted(answers))


@attack("session", "names that cannot be seen, or turn text around", "400", pending="names are not looked at")
async def names_that_cannot_be_seen(a):
    names = ["\u202egnp.exe", "\u200b", "\ufeff", "\u2028", "\U000e0001"]
    answers = {await asked(a, name=names[i % len(names)]) async for i in a.pace(10)}
    return " ".join(sorted(answers))


@attack("session", "a room of its own for each of 100 people from one address", grows_mib=32)
async def a_room_for_each(a):
    async with contextlib.AsyncExitStack() as stack:
        async for i in a.pace(100 / a.seconds):
            with contextlib.suppress(AssertionError, ConnectionError):
                await stack.enter_async_context(a.caller(f"mine {i}", control=False))
    return GOES_ON


# --- the page's port ------------------------------------------------------------------------------------


async def tcp(a):
    return await asyncio.open_connection("127.0.0.1", int(a.server.page.rsplit(":", 1)[1].strip("/")))


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@attack("page", "two connections that ask for the page without waiting for the answer", fast=True, pending="the page's port has no share of its own", grows_mib=8)
async def page_hammered(a):
    async def one():
        reader, writer = await tcp(a)

        async def read():
            while await reader.read(1 << 20):
                pass
        reading = asyncio.ensure_future(read())
        with contextlib.suppress(ConnectionError):
            while not a.over():
                writer.write(GET * 20)
                await writer.drain()
                await asyncio.sleep(0)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await reading
    await asyncio.gather(one(), one())
    return GOES_ON


async def many_tcp(a, n, each, per_s=None):
    """n connections, each(reader, writer) on each of them; they stay till the end."""
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        async for i in a.pace(per_s or 2 * n / a.seconds):
            if len(opened) < n:
                with contextlib.suppress(OSError):
                    reader, writer = await tcp(a)
                    stack.callback(writer.transport.abort)
                    opened.append(writer)
                    await each(reader, writer)
    return GOES_ON


@attack("page", "300 connections that say nothing", fast=True, pending="descriptors of the page's port")
async def silent_tcp(a):
    async def each(reader, writer):
        pass
    return await many_tcp(a, 300, each)


@attack("page", "300 connections with half a head each")
async def half_heads(a):
    async def each(reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: loc")
    return await many_tcp(a, 300, each)


@attack("page", "100 connections that ask for the page and do not read it", grows_mib=8)
async def pages_unread(a):
    async def each(reader, writer):
        reader._transport.pause_reading()
        writer.write(b"GET /mynah.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    return await many_tcp(a, 100, each)


@attack("page", "connections that are reset at once, 500 a second", fast=True)
async def tcp_reset(a):
    async for _ in a.pace(500):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect(("127.0.0.1", int(a.server.page.rsplit(":", 1)[1].strip("/"))))
    return GOES_ON


async def posed(a, request, per_s=50):
    """The statuses of what was asked; "closed" where there was no answer."""
    answers = set()
    async for i in a.pace(per_s):
        try:
            reader, writer = await tcp(a)
            writer.write(request(i))
            line = await asyncio.wait_for(reader.readline(), 5)
            answers.add(line.split()[1].decode() if line else "closed")
            writer.transport.abort()
        except (OSError, asyncio.TimeoutError) as error:
            answers.add("closed" if isinstance(error, ConnectionError) else type(error).__name__)
    return " ".join(sorted(answers))


def get(path="/", *fields):
    return f"GET {path} HTTP/1.1\r\n".encode() + b"".join(f + b"\r\n" for f in fields or (b"Host: localhost",)) + b"\r\n"


@attack("page", "a head of 64 KB", ("431", "closed", "431 closed"), fast=True)
async def huge_heads(a):
    return await posed(a, lambda i: get("/", b"Host: localhost", b"X: " + b"y" * 65536))


@attack("page", "bytes that are no HTTP", ("400", "closed", "400 closed"))
async def no_http(a):
    return await posed(a, lambda i: os.urandom(500) + b"\r\n\r\n")


@attack("page", "a ClientHello where TLS is not spoken", ("400", "closed", "400 closed"))
async def tls_where_there_is_none(a):
    return await posed(a, lambda i: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(400) + b"\r\n\r\n")


@attack("page", "two lengths, or a length and chunks (request smuggling)", ("400", "400 closed"))
async def smuggled_requests(a):
    kinds = [(b"Content-Length: 5", b"Content-Length: 6"), (b"Transfer-Encoding: chunked", b"Content-Length: 5")]
    return await posed(a, lambda i: get("/", b"Host: localhost", *kinds[i % 2]) + b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")


@attack("page", "paths that climb", ("400", "404", "400 404"), fast=True)
async def paths_that_climb(a):
    paths = ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/....//etc/passwd", "/mynah.js%00.html", "/\\..\\..\\etc"]
    return await posed(a, lambda i: get(paths[i % len(paths)]))


@attack("page", "the page under a foreign name (DNS rebinding)", "421", fast=True)
async def foreign_host(a):
    return await posed(a, lambda i: get("/mynah.json", b"Host: evil.example"))


@attack("page", "a body without end", (GOES_ON,))
async def body_without_end(a):
    reader, writer = await tcp(a)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        async for _ in a.pace(FRAMES):
            writer.write(b"400\r\n" + bytes(1024) + b"\r\n")
            await writer.drain()
    writer.transport.abort()
    return GOES_ON


@attack("page", "new connections, one request each, 200 a second")
async def new_connection_for_each_request(a):
    async def one():
        with contextlib.suppress(OSError):
            reader, writer = await tcp(a)
            writer.write(get("/healthz"))
            await reader.readline()
            writer.transport.abort()
    return await crowd(a, one, 200)
