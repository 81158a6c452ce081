#!/usr/bin/env python3
"""A real mynahd and clients on aioquic: who hears whom, how well, how soon; the control stream; comings and goings."""
import asyncio
import hashlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import CipherSuite

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd, binary  # noqa: E402
from voice import after_sound, connection, fit, session, sessions, silence, talk, tones  # noqa: E402
from voice_case import PATIENT, Certificate, VoiceCase, off_loop  # noqa: E402

ECHO = PATIENT + '[private]\nbridge = "echo"\n'
RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]


class Sound(VoiceCase):
    async def test_client_that_knows_only_the_header(self):
        p = await self.echo_is_clean()
        self.assertEqual({(f.rate, len(f.samples)) for f in p.frames}, {(16000, 320)})
        self.assertGreaterEqual(len(p.frames), 65)
        self.assertEqual(p.raw, [])

    async def test_rooms_of_two_hear_their_partner_only(self):
        hz = [400, 700, 1100, 1600, 2200, 2900]

        async def attempt():
            async with sessions(server, [{"room": f"room-{i // 2}"} for i in range(6)]) as people:
                await asyncio.gather(*(talk(p, tones(16000, (f, -15)), 1.8) for p, f in zip(people, hz)))
                await after_sound(*people)
                for i, p in enumerate(people):
                    heard = p.heard()[8000:24000]
                    self.assert_clean(heard, 16000, {hz[i ^ 1]: -15})
                    for k, level in enumerate(fit(heard, 16000, *hz)[0]):
                        if k != i ^ 1:
                            self.assertLess(level, -75, f"{i} hears {k}")

        with Mynahd(PATIENT) as server:
            await self.again(attempt)

    async def test_ten_hear_the_nine_others_equally_in_fifty_packets_a_second(self):
        hz = [300 + 370 * i for i in range(10)]

        async def attempt():
            async with sessions(server, [{"room": "ten"}] * 10) as people:
                await asyncio.gather(*(talk(p, tones(16000, (f, -32)), 2.4) for p, f in zip(people, hz)))
                await after_sound(*people)
                for i, p in enumerate(people):
                    levels, _ = fit(p.heard()[12000:32000], 16000, *hz)
                    others = levels[:i] + levels[i + 1:]
                    self.assertLess(max(others) - min(others), 0.5, f"{i}: {levels}")
                    self.assertAlmostEqual(np.mean(others), -32, delta=0.5)
                    self.assertLess(levels[i], -32 - 60, f"{i} hears their own voice")
                    # one packet for each 20 ms of the conversation, however many talk
                    self.assertEqual({len(f.samples) for f in p.frames}, {320})
                    self.assertTrue(120 <= len(p.frames) <= 145, len(p.frames))

        with Mynahd(PATIENT) as server:
            await self.again(attempt)

    async def echo_at_every_rate(self, room_rate):
        parts = {997: -14, 2633: -14}

        async def attempt():
            async with sessions(server, [{"rate": r} for r in wanted]) as people:
                await asyncio.gather(*(talk(p, tones(r, *parts.items()), 2, rate=r, frame_ms=10 if r > 24000 else 20)
                                       for p, r in zip(people, wanted)))
                await after_sound(*people)
                for p, rate in zip(people, list(wanted)):
                    self.assertEqual({f.rate for f in p.frames}, {rate})
                    snr = self.assert_clean(p.heard()[rate // 2:rate * 3 // 2], rate, parts)
                    self.figure(f"echo {rate} Hz through a room of {room_rate}: {snr:.0f} dB")
                    wanted.remove(rate)

        wanted = list(RATES)  # one that was good once need not be so again
        with Mynahd(ECHO + f"sample_rate = {room_rate}\n") as server:
            await self.again(attempt)

    async def test_echo_at_every_rate_through_a_room_of_16000(self):
        await self.echo_at_every_rate(16000)

    async def test_echo_at_every_rate_through_a_room_of_48000(self):
        await self.echo_at_every_rate(48000)

    async def echo_is_clean(self, config="", rate=None, sent_rate=16000, pieces=1, seconds=1.3, **server_options):
        """One session in an echo room; returns it for a closer look."""
        async def attempt():
            async with session(server, rate=rate, control=False) as p:
                await talk(p, tones(sent_rate, (997, -14)), seconds, rate=sent_rate, pieces=pieces)
                await after_sound(p)
                heard = p.frames[0].rate
                self.assert_clean(p.heard()[heard * 2 // 5:round(heard * seconds)], heard, {997: -14})
                return p

        with Mynahd(ECHO + config, **server_options) as server:
            return await self.again(attempt)

    async def test_frame_in_two_or_three_datagrams_is_one_sound(self):
        for pieces in 2, 3:
            p = await self.echo_is_clean(sent_rate=48000, pieces=pieces)
            self.assertLessEqual(len(p.frames), 90)

    async def test_rate_changes_in_the_middle_are_not_heard(self):
        async def attempt():
            async with session(server) as p:
                for i, rate in enumerate([16000, 48000, 8000, 22050, 16000]):
                    await talk(p, tones(rate, (500, -14)), 0.5, rate=rate, start=i * rate // 2, pieces=2)
                await after_sound(p)
                self.assert_clean(p.heard()[6000:36000], 16000, {500: -14})

        with Mynahd(ECHO) as server:
            await self.again(attempt)

    async def test_datagrams_fit_the_ceiling(self):
        p = await self.echo_is_clean(rate=48000, server="max_datagram_size = 300\n")
        self.assertLessEqual(max(len(f.samples) * 2 + 2 for f in p.frames), 300)

    async def test_rate_zero_means_the_configured_input_rate(self):
        with Mynahd(ECHO, server="input_sample_rate = 24000\noutput_sample_rate = 24000\n") as server:
            async with session(server) as p:
                sound = tones(24000, (997, -14))
                for i in range(60):
                    p.send_datagram(b"\0\0" + sound(i * 480, 480).tobytes())
                    await asyncio.sleep(0.018)
                await after_sound(p)
                self.assertEqual({f.rate for f in p.frames}, {24000})
                levels, _ = fit(p.heard()[6000:18000], 24000, 997)
                self.assertAlmostEqual(levels[0], -14, delta=0.5)

    async def test_delay_on_an_idle_server(self):
        """From the first sample of a frame, spoken one frame before it can be sent, to its return from the room."""
        with Mynahd('[private]\nbridge = "echo"\n') as server:
            async with session(server) as p:
                delays = await self.measure_delays(p, 200)
                p50, p99 = np.percentile(delays, [50, 99])
                self.figure(f"delay through the room, frame included: median {p50:.1f} ms, p99 {p99:.1f} ms")
                self.assertGreater(len(delays), 180)
                self.assertLess(p50, 45)

    async def measure_delays(self, p, n):
        """Frame i is a constant that names it, so that each is found again wherever it lands."""
        def name(i):
            return 2000 + 200 * (i % 64)
        sent, loop = [], asyncio.get_running_loop()
        t0 = loop.time()
        for i in range(n):
            sent.append(time.monotonic())
            p.send_pcm(np.full(320, name(i)))
            await asyncio.sleep(max(0, t0 + (i + 1) * 0.02 - loop.time()))
        await after_sound(p)
        delays = []
        for i in range(8, n):  # it begins with a fade
            for f in p.frames:
                if sent[i] < f.at < sent[i] + 1 and (abs(f.samples - name(i)) < 20).any():
                    delays.append((f.at - sent[i]) * 1000 + 20)
                    break
        return delays

    async def test_nothing_is_sent_while_nobody_talks(self):
        with Mynahd(PATIENT) as server:
            async with sessions(server, [{"room": "still"}] * 2) as (a, b):
                await asyncio.sleep(0.5)
                self.assertEqual((len(a.frames), len(b.frames)), (0, 0))
                await talk(a, tones(16000, (500, -20)), 0.5)
                await after_sound(b)
                n = len(b.frames)
                self.assertTrue(25 <= n <= 50, n)
                self.assertEqual(len(a.frames), 0)

    async def test_muted_is_not_heard(self):
        with Mynahd(PATIENT) as server:
            async with sessions(server, [{"room": "m"}] * 2) as (a, b):
                a.say("mute", muted=True)
                await b.expect("mute", id=a.id, muted=True)
                await a.expect("mute", id=a.id, muted=True)
                await talk(a, tones(16000, (500, -20)), 0.5)
                await after_sound(b)
                self.assertEqual(max((abs(int(x)) for f in b.frames for x in f.samples), default=0), 0)
                a.say("mute", muted=False)
                await b.expect("mute", id=a.id, muted=False)
                await talk(a, tones(16000, (500, -20)), 0.7)
                await after_sound(b)
                self.assertAlmostEqual(fit(b.heard()[-9000:-5000], 16000, 500)[0][0], -20, delta=0.5)


class Control(VoiceCase):
    async def test_welcome_joined_left_speaking_message(self):
        with Mynahd(PATIENT) as server:
            async with session(server, room="lobby", name="Ann", rate=24000) as a:
                welcome = a.lines[0]
                self.assertEqual(welcome["type"], "welcome")
                self.assertEqual({k: welcome[k] for k in ("name", "room", "private", "rate", "room_rate", "codec",
                                                          "frame_ms", "bridge")},
                                 {"name": "Ann", "room": "lobby", "private": False, "rate": 24000, "room_rate": 16000,
                                  "codec": "pcm", "frame_ms": 20, "bridge": None})
                self.assertEqual([m["id"] for m in welcome["participants"]], [a.id])
                async with session(server, room="lobby", name="Bö b") as b:
                    joined = await a.expect("joined")
                    self.assertEqual(joined["participant"], {"id": b.id, "name": "Bö b", "muted": False,
                                                             "speaking": False})
                    self.assertEqual({m["name"] for m in b.lines[0]["participants"]}, {"Ann", "Bö b"})
                    await talk(b, tones(16000, (300, -15), (700, -18)), 0.6)
                    await a.expect("speaking", id=b.id, speaking=True)
                    await talk(b, silence, 1)
                    await a.expect("speaking", id=b.id, speaking=False)
                    b.say("message", text="grüß \"dich\"\n\u2028")
                    for p in a, b:
                        m = await p.expect("message", **{"from": b.id})
                        self.assertEqual((m["text"], m["to"]), ("grüß \"dich\"\n\u2028", None))
                        self.assertLess(abs(m["time"] / 1000 - time.time()), 60)
                left = await a.expect("left", id=b.id)
                self.assertEqual(left["reason"], "closed")

    async def test_message_to_one(self):
        with Mynahd() as server:
            async with sessions(server, [{"room": "x"}] * 3) as (a, b, c):
                a.say("message", text="psst", to=b.id)
                await b.expect("message", text="psst", to=b.id)
                a.say("message", text="all")
                await c.expect("message", text="all")
                self.assertEqual([m["text"] for m in c.lines if m["type"] == "message"], ["all"])
                a.say("message", text="psst", to=999999)
                await a.expect("error", code="no_such_participant")

    async def test_stats_ping_bye(self):
        with Mynahd(PATIENT) as server:
            async with session(server, room="x") as p:
                await talk(p, tones(16000, (500, -20)), 0.4)
                stats = await p.stats()
                self.assertEqual(stats["frames_in"], 20)
                self.assertLess(abs(stats["level_dbfs"] + 23), 3)
                self.assertEqual((stats["dropped"], stats["lost_packets"]), (0, 0))
                p.say("stats", every_ms=200)
                await p.until(lambda: sum(x["type"] == "stats" for x in p.lines) >= 4, what="stats again and again")
                p.say("stats", every_ms=0)
                p.say("ping", t=1234.5)
                await p.expect("pong", t=1234.5)
                p.say("bye")
                await p.until(lambda: p.ended, what="the end of the session")
                self.assertEqual(p.ended[0], 0)
                await p.until(lambda: p.terminated, what="the end of the connection")

    async def test_lines_in_pieces_and_several_at_once(self):
        with Mynahd() as server:
            async with session(server, room="x") as p:
                for byte in b'{"type":"ping","t":1}\r\n':
                    p.write(bytes([byte]))
                    await asyncio.sleep(0)
                await p.expect("pong", t=1)
                p.write(b'{"type":"ping","t":2}\n\n  \n{"type":"ping","t":3}\n{"type":"pi')
                await p.expect("pong", t=3)
                p.write(b'ng","t":4}\n')
                await p.expect("pong", t=4)
                self.assertEqual([x["t"] for x in p.lines if x["type"] == "pong"], [1, 2, 3, 4])

    async def test_half_an_emoji_is_text(self):
        """JavaScript and Python cut strings there, and write the half as an escape."""
        with Mynahd() as server:
            async with session(server, room="x") as p:
                p.write(b'{"type":"message","text":"half \\ud83d"}\n{"type":"message","text":"\\ude00 and \\ud83d\\ude00"}\n')
                await p.expect("message", text="half \ufffd")
                await p.expect("message", text="\ufffd and \U0001f600")
                p.write(b'{"type":"ping","t":9007199254740993}\n')
                await p.expect("pong", t=9007199254740993)

    async def test_lines_that_are_wrong(self):
        bad = [b"hello", b"[]", b"{}", b'{"type":1}', b'{"type":"mute"}', b'{"type":"message","text":""}', b"\xff\xfe",
               b'{"type":"message","text":"a\\u0000b"}', b'{"type":"message","text":"' + b"x" * 5000 + b'"}',
               b'{"type":"stats","every_ms":-1}', b'{"type":"ping","t":"x"}', b'{"type":"ping"', b'"type"',
               b"[" * 8000, b'{"type":"message","text":"x","to":-1}']
        with Mynahd("[limits]\ncontrol_messages_per_s = 1000\n") as server:
            async with session(server, room="x") as p:
                for i, line in enumerate(bad):
                    p.write(line + b"\n")
                    await p.until(lambda: sum(x["type"] == "error" for x in p.lines) == i + 1, what=repr(line[:40]))
                p.write(b'{"type":"dance","with":"me"}\n{"type":"ping","t":1,"extra":[{}]}\n')
                await p.expect("pong", t=1)
                self.assertEqual(sum(x["type"] == "error" for x in p.lines), len(bad))  # unknown types are ignored
                p.write(b"x" * 20000)
                await p.expect("error", code="line_too_long")
                p.write(b"x" * 20000 + b'\n{"type":"ping","t":2}\n')
                await p.expect("pong", t=2)
                self.assertEqual(sum(x.get("code") == "line_too_long" for x in p.lines), 1)

    async def test_long_messages_from_one_client_do_not_drown_the_others(self):
        with Mynahd("[limits]\ncontrol_messages_per_s = 1000\ncontrol_bytes_per_s = 2000\n") as server:
            async with session(server, room="x") as p, session(server, room="x") as q:
                for _ in range(50):
                    p.say("message", text="x" * 900)
                await p.expect("warning", code="rate_limited")
                await q.until(lambda: sum(x["type"] == "message" for x in q.lines) >= 4)  # a burst of 4000 bytes
                await p.settled()
                await q.settled()
                self.assertLess(sum(x["type"] == "message" for x in q.lines), 40)

    async def test_too_many_lines_are_ignored_and_warned_of_once(self):
        with Mynahd("[limits]\ncontrol_messages_per_s = 10\n") as server:
            async with session(server, room="x") as p:
                p.write(b'{"type":"ping","t":1}\n' * 300)
                await p.expect("warning", code="rate_limited")
                await asyncio.sleep(0.5)
                p.say("ping", t=2)
                await p.expect("pong", t=2)
                self.assertLess(sum(x["type"] == "pong" for x in p.lines), 60)
                self.assertEqual(sum(x["type"] == "warning" for x in p.lines), 1)

    async def test_welcome_to_a_full_room_passes_a_small_send_buffer(self):
        with Mynahd("[limits]\nstream_send_bytes = 4096\n") as server:
            async with sessions(server, [{"room": "x", "name": '"' * 64}] * 30) as people:
                self.assertEqual(len(people[-1].lines[0]["participants"]), 30)
                people[-1].say("ping", t=1)
                await people[-1].expect("pong", t=1)

    async def test_stream_that_comes_late_or_is_reset(self):
        with Mynahd() as server:
            async with session(server, room="x", control=False) as p, session(server, room="x") as other:
                p.send_pcm(tones(16000, (500, -14))(0, 320))
                other.say("message", text="nobody reads this there")
                await other.expect("message")
                await p.open_control()
                self.assertEqual(len(p.lines[0]["participants"]), 2)
                p._quic.reset_stream(p.control, 7)
                p.transmit()
                await off_loop(server.wait_for_metric, "mynah_frames_in_total", 1)
                other.say("message", text="nor this")
                await other.expect("message", text="nor this")
                del p.lines[:]
                await p.open_control()  # another takes its place
                self.assertEqual(len(p.lines[0]["participants"]), 2)
                p.send_pcm(tones(16000, (500, -14))(0, 320))
                await off_loop(server.wait_for_metric, "mynah_frames_in_total", 2)  # the sound goes on
                p._quic.reset_stream(p.control, 7)
                p.transmit()
                self.assertEqual((await other.expect("left"))["reason"], "closed")  # and without another they have left
                await off_loop(server.wait_for_line, r"left end=local code=2 ")

    async def test_faulty_frames_are_warned_of_once_each(self):
        with Mynahd() as server:
            async with session(server, room="x") as p:
                for _ in range(3):
                    for payload in b"\xa0", b"\xa0\0", b"\x4f\0ab", b"\xe1\x01ab", b"\x01\x80" + bytes(10), b"\xa0\0abc":
                        p.send_datagram(payload)
                for code in "short", "empty", "bad_rate", "unsupported", "odd":
                    await p.expect("warning", code=code)
                p.say("ping", t=1)
                await p.expect("pong", t=1)
                self.assertEqual(sum(x["type"] == "warning" for x in p.lines), 5)

    async def test_other_streams_are_refused(self):
        with Mynahd() as server:
            async with session(server, room="x") as p:
                second = p.open_stream(b'{"type":"ping","t":1}\n')
                await p.until(lambda: second in p.resets, what="the reset of a second stream")
                self.assertEqual(p.streams[second], b"")
                p.open_stream(b"hello" * 100, uni=True)
                p.open_stream(b"hello", uni=True, fin=True)
                p.say("ping", t=2)
                await p.expect("pong", t=2)
                self.assertEqual(sum(x["type"] == "pong" for x in p.lines), 1)

    async def test_client_that_ends_its_side_of_the_stream_still_listens(self):
        with Mynahd() as server:
            async with sessions(server, [{"room": "x"}] * 2) as (a, b):
                a._quic.send_stream_data(a.control, b'{"type":"ping","t":1}\n', True)
                a.transmit()
                await a.expect("pong", t=1)
                b.say("message", text="still there?")
                await a.expect("message", text="still there?")


class Door(VoiceCase):
    async def status_of(self, server, path, **kwargs):
        async with connection(server) as p:
            status = await p.open_session(path, **kwargs)
            return status, p.body.decode()

    async def test_refusals(self):
        rooms = '[[room]]\nname = "small"\nmax_participants = 1\n[[room]]\nname = "team-*"\n'
        with Mynahd(rooms) as server:
            for path, status in [("/audio?room=small", 200), ("/", 404), ("/audio/", 404), ("/audioo", 404),
                                 ("/audio?rate=7999", 400), ("/audio?rate=48001", 400), ("/audio?rate=fast", 400),
                                 ("/audio?rate=", 400), ("/audio?rate=16000", 200), ("/audio?codec=mp3", 400),
                                 ("/audio?frames=v9", 400), ("/audio?room=%zz", 400), ("/audio?room=%ff", 400),
                                 ("/audio?room=" + "x" * 65, 400), ("/audio?room=other", 404), ("/audio?room=team-1", 200),
                                 ("/audio?name=a%00b", 400), ("/audio?name=a%0ab", 400), ("/audio?what=ever", 200),
                                 ("/audio?room=team-%C3%A4", 200)]:
                with self.subTest(path=path):
                    got, body = await self.status_of(server, path)
                    self.assertEqual(got, status, body)
                    if status != 200:
                        self.assertRegex(body, r"^[ -~]{8,120}\n?$")
                    if path.startswith("/audio?"):  # /check tells the same of the same query
                        said = json.loads((await off_loop(server.get, "/check" + path.removeprefix("/audio")))[1])
                        self.assertEqual(said, {"ok": True} if status == 200 else {"ok": False, "status": status, "reason": body.strip()})
            async with session(server, room="small"):
                self.assertEqual((await self.status_of(server, "/audio?room=small"))[0], 503)
                self.assertEqual(json.loads((await off_loop(server.get, "/check?room=small"))[1])["status"], 503)
            await off_loop(server.wait_for_metric, "mynah_participants", 0)
            self.assertEqual(json.loads((await off_loop(server.get, "/check?room=small"))[1]), {"ok": True})
            self.assertEqual(json.loads((await off_loop(server.get, "/check?room=other"))[1])["status"], 404)

    async def test_text_from_a_client_stays_inside_its_quotes_in_the_log(self):
        with Mynahd() as server:
            async with session(server, room='a" sess=9', name='b\\" peer=x', control=False) as p:
                await off_loop(server.wait_for_line, r'room="a\\" sess=9" name="b\\\\\\" peer=x" participant=')
                p.close_session(3, 'c" code=0')
                await off_loop(server.wait_for_line, r'left .* code=3 reason="c\\" code=0" seconds=')
            async with connection(server) as p:
                self.assertEqual(await p.open_session("/audio", origin='https://x" why="y'), 403)
            await off_loop(server.wait_for_line, r'origin="https://x\\" why=\\"y" why="pages')

    async def test_methods_over_http3(self):
        with Mynahd() as server:
            async with connection(server) as p:
                for method, path, status, text in [(b"GET", "/check", 200, '{"ok":true}'),
                                                   (b"POST", "/check", 405, "method not allowed"),
                                                   (b"GET", "/metrics", 404, "not here"),
                                                   (b"GET", "/" + "x" * 2000, 404, "not found")]:
                    stream = p.request(path, method)
                    await p.until(lambda: stream in p.responses and p.responses[stream][2], what=f"an answer to {path}")
                    headers, body, _ = p.responses[stream]
                    self.assertEqual((int(headers[b":status"]), body.decode().strip()), (status, text))

    async def test_server_full(self):
        with Mynahd("[limits]\nmax_sessions = 2\n") as server:
            async with sessions(server, [{}, {}]):
                self.assertEqual((await self.status_of(server, "/audio"))[0], 503)
            await off_loop(server.wait_for_metric, "mynah_sessions", 0)
            self.assertEqual((await self.status_of(server, "/audio"))[0], 200)

    async def test_origins(self):
        with tempfile.TemporaryDirectory() as folder:
            cert = Certificate(folder, others=["voice.example.com", "*.wild.example"])
            with Mynahd(server=cert.config()) as server:
                for authority, origin, status in [
                        ("voice.example.com:4433", None, 200), ("voice.example.com:4433", "http://localhost:8080", 200),
                        ("voice.example.com:4433", "http://127.0.0.1", 200), ("voice.example.com:4433", "http://[::1]:80", 200),
                        ("voice.example.com:4433", "https://voice.example.com:1", 200),
                        ("a.wild.example", "https://A.wild.example", 200), ("192.0.2.1:4433", "https://192.0.2.1", 200),
                        ("evil.example:4433", None, 200), ("evil.example:4433", "https://evil.example", 403),
                        ("voice.example.com:4433", "https://evil.example", 403), ("voice.example.com:4433", "null", 403),
                        ("voice.example.com:4433", "https://voice.example.com.evil.example", 403),
                        ("voice.example.com:4433", "", 403), ("voice.example.com:4433", "https://voice.example.com/", 403),
                        ("voice.example.com:4433", "http://127.1", 403), ("voice.example.com:4433", "http://localhost.", 403),
                        ("voice.example.com:4433", "https://localhost.evil.example", 403),
                        ("voice.example.com:4433", "https://caf\u00e9.example", 403),
                        ("b.a.wild.example", "https://b.a.wild.example", 403), ("wild.example", "https://wild.example", 403)]:
                    with self.subTest(origin=origin, authority=authority):
                        got = await self.status_of(server, "/audio", origin=origin, authority=authority)
                        self.assertEqual(got[0], status)
                renewed = Certificate(folder, others=["other.example"])
                server.process.send_signal(signal.SIGHUP)
                await off_loop(server.wait_for_hash, renewed.sha256())
                for authority, status in ("voice.example.com", 403), ("other.example", 200):
                    self.assertEqual((await self.status_of(server, "/audio", origin=f"https://{authority}", authority=authority))[0], status)
        with Mynahd(server='origins = ["https://a.example"]\n') as server:
            for origin, status in [("https://a.example", 200), ("https://b.example", 403), ("http://localhost", 403),
                                   ("https://a.example:444", 403), ("http://a.example", 403), ("", 403)]:
                with self.subTest(origin=origin):
                    self.assertEqual((await self.status_of(server, "/audio", origin=origin))[0], status)

    async def test_new_name_of_the_protocol(self):
        with Mynahd() as server:
            self.assertEqual((await self.status_of(server, "/audio", protocol=b"webtransport-h3"))[0], 200)

    async def test_private_rooms_are_apart(self):
        with Mynahd(PATIENT + '[private]\nbridge = "none"\n') as server:
            async with sessions(server, [{}, {}]) as (a, b):
                self.assertTrue(a.lines[0]["private"])
                await talk(a, tones(16000, (500, -10)), 0.4)
                a.say("message", text="alone")
                await a.expect("message", text="alone")
                b.say("ping", t=1)
                await b.expect("pong", t=1)
                self.assertEqual((b.frames, [x["type"] for x in b.lines]), ([], ["welcome", "pong"]))

    async def test_second_session_on_a_connection(self):
        with Mynahd() as server:
            async with session(server, room="x") as p:
                stream = p.request("/audio?room=y", method=b"CONNECT", extra=[(b":protocol", b"webtransport")], end=False)
                await p.until(lambda: stream in p.responses, what="the answer")
                self.assertEqual(p.responses[stream][0][b":status"], b"429")
                p.say("ping", t=1)
                await p.expect("pong", t=1)

    async def test_both_families_reach_localhost(self):
        with Mynahd() as server:
            for host in "127.0.0.1", "::1":
                async with session(server, host=host, room="x"):
                    pass


class Comings(VoiceCase):
    async def check_end(self, end, reason, limits="", seconds=10):
        with Mynahd(limits) as server:
            async with session(server, room="x") as stays:
                async with session(server, room="x") as goes:
                    await stays.expect("joined")
                    end(goes)
                    left = await stays.expect("left", seconds, id=goes.id)
                    self.assertEqual(left["reason"], reason)
                    await off_loop(server.wait_for_metric, "mynah_sessions", 1)
                    if goes._transport is not None and not getattr(goes, "closed_by_test", False):
                        await goes.until(lambda: goes.terminated, what="the end of the connection")
                stays.say("ping", t=1)
                await stays.expect("pong", t=1)
                self.assertEqual(sum(x["type"] == "left" for x in stays.lines), 1)
            await off_loop(server.wait_for_metric, "mynah_rooms", 0)
            await off_loop(server.wait_for_metric, "mynah_connections", 0)

    async def test_end_by_capsule(self):
        await self.check_end(lambda p: p.close_session(7, "enough"), "closed")

    async def test_end_by_fin(self):
        def fin(p):
            p._quic.send_stream_data(p.session, b"", True)
            p.transmit()
        await self.check_end(fin, "closed")

    async def test_end_by_reset(self):
        def reset(p):
            p._quic.reset_stream(p.session, 0x10C)
            p.transmit()
        await self.check_end(reset, "lost")

    async def test_end_by_connection_close(self):
        await self.check_end(lambda p: p.close(), "closed")

    async def test_end_by_silence(self):
        await self.check_end(lambda p: p.vanish(), "lost", "[limits]\nidle_timeout_ms = 1500\nkeep_alive_ms = 400\n")

    async def test_hundred_come_and_go(self):
        async def visit(server, i):
            async with session(server, room=f"r{i % 7}", name=f"n{i}", rate=RATES[i % len(RATES)]) as p:
                p.send_pcm(np.full(320, 1000))
                p.say("message", text="hello")
                await p.expect("message", text="hello")

        async def wave(server):
            for start in range(0, 100, 10):
                await asyncio.gather(*(visit(server, i) for i in range(start, start + 10)))
            for name in "mynah_sessions", "mynah_rooms", "mynah_participants", "mynah_connections":
                await off_loop(server.wait_for_metric, name, 0)

        # without the sanitizer's quarantine of what was freed, so that memory tells something
        with Mynahd(env={"ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=1"}) as server:
            for _ in range(2):  # each shard fills caches of its own
                await wave(server)
            before = server.resident_kib()
            await wave(server)
            grown = server.resident_kib() - before
            self.figure(f"the third hundred clients left {grown} KiB behind")
            self.assertLess(grown, 3000)
            self.assertEqual(server.metrics()["mynah_sessions_opened_total"], 300)


class Connections(VoiceCase):
    """What QUIC may do below a call."""

    async def echoes(self, p, frames=40):
        n = len(p.frames)
        await talk(p, tones(16000, (500, -14)), frames * 0.02)
        await p.until(lambda: len(p.frames) >= n + frames - 5, what="echoes")

    async def test_every_cipher_and_version(self):
        wanted = [{"cipher_suites": [suite]} for suite in (CipherSuite.AES_128_GCM_SHA256, CipherSuite.AES_256_GCM_SHA384,
                                                           CipherSuite.CHACHA20_POLY1305_SHA256)]
        wanted += [{"original_version": QuicProtocolVersion.VERSION_2}, {"connection_id_length": 20},
                   {"max_datagram_size": 1452}]
        with Mynahd(ECHO) as server:
            for options in wanted:
                with self.subTest(**options):
                    async with connection(server, configuration=QuicConfiguration(**options)) as p:
                        self.assertEqual(await p.open_session("/audio"), 200)
                        await self.echoes(p)

    async def test_client_that_has_to_prove_its_address_first(self):
        with Mynahd(ECHO + "[limits]\nretry_half_open = 0\n") as server:
            async with session(server) as p:
                await self.echoes(p)
            self.assertEqual(server.metrics()['mynah_stateless_packets_total{kind="retry"}'], 1)

    async def test_client_whose_port_changes_in_the_middle(self):
        with Mynahd(ECHO) as server:
            async with session(server) as p:
                await self.echoes(p)
                await p.move()
                await self.echoes(p)
                p.say("ping", t=1)
                await p.expect("pong", t=1)
                self.assertGreaterEqual((await off_loop(server.metrics))["mynah_migrations_total"], 1)

    async def test_client_that_changes_its_keys_and_connection_ids(self):
        with Mynahd(ECHO) as server:
            async with session(server) as p:
                for change in p.request_key_update, p.change_connection_id, p.request_key_update:
                    await self.echoes(p, 20)
                    change()
                await self.echoes(p, 20)

    async def test_frames_of_ten_milliseconds(self):
        with Mynahd(ECHO.replace("[audio]", "[audio]\nframe_ms = 10")) as server:
            async with session(server) as p:
                await talk(p, tones(16000, (500, -14)), 1, frame_ms=10)
                await after_sound(p)
                self.assertEqual({len(f.samples) for f in p.frames}, {160})
                self.assertTrue(100 <= len(p.frames) <= 125, len(p.frames))


class Signals(VoiceCase):
    async def test_term_drains(self):
        with Mynahd(server="drain_ms = 1500\n") as server:
            async with session(server, room="x") as p, connection(server) as late:
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                bye = await p.expect("bye")
                self.assertEqual(bye["reason"], "shutdown")
                self.assertGreaterEqual(bye["reconnect_ms"], 500)
                await p.until(lambda: p.draining, what="the DRAIN capsule")
                self.assertEqual((await off_loop(server.get, "/healthz", False))[0], 503)
                self.assertEqual(await late.open_session("/audio"), 503)
                p.say("ping", t=1)
                await p.expect("pong", t=1)  # still served
                await p.until(lambda: p.ended, what="the end of the session")
                self.assertEqual(p.ended[0], 1)
                status = await off_loop(server.process.wait, 10)
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual(status, 0)

    async def test_term_without_sessions_is_quick(self):
        server = Mynahd(server="drain_ms = 4000\n")
        with server:
            async with connection(server):
                pass
            began = time.monotonic()
            server.stop()
            self.assertLess(time.monotonic() - began, 3)

    async def test_hangup_takes_the_new_certificate_and_keeps_sessions(self):
        with tempfile.TemporaryDirectory() as folder:
            first = Certificate(folder)
            with Mynahd(PATIENT, server=first.config()) as server:
                async with sessions(server, [{"room": "x"}] * 2) as (a, b):
                    self.assertEqual(a.certificate_sha256(), first.sha256())
                    talking = asyncio.create_task(talk(a, tones(16000, (500, -14)), 3))
                    await b.until(lambda: len(b.frames) > 20, what="sound")
                    second = Certificate(folder)
                    server.process.send_signal(signal.SIGHUP)
                    await off_loop(server.wait_for_hash, second.sha256())
                    async with session(server, room="y") as c:
                        self.assertEqual(c.certificate_sha256(), second.sha256())
                    second.key_path.write_text("no key\n")
                    server.process.send_signal(signal.SIGHUP)
                    await off_loop(server.wait_for_line, "old certificate stays")
                    async with session(server, room="y") as c:
                        self.assertEqual(c.certificate_sha256(), second.sha256())
                    await talking
                    await after_sound(b)
                    self.assert_clean(b.heard()[4000:44000], 16000, {500: -14})
                    self.assertEqual((await a.stats())["frames_in"], 150)

    async def test_term_and_hangup_that_come_before_the_start_is_over(self):
        """They are pending when the daemon begins; neither kills it, and it ends in order."""
        def signals():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)

        server = Mynahd(server="drain_ms = 100\n")
        done = await off_loop(lambda: subprocess.run(server.command, env=server.env, capture_output=True, text=True,
                                                     timeout=30, preexec_fn=signals))
        server.dir.cleanup()
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in "ready version=", "stopping signal=TERM", "stopped":
            self.assertIn(line, done.stderr)

    async def test_term_twice_hurries_and_hangup_on_the_way_is_harmless(self):
        with Mynahd(server="drain_ms = 4000\n") as server:
            async with session(server, room="x") as p:
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                await p.expect("bye")
                server.process.send_signal(signal.SIGHUP)
                server.process.send_signal(signal.SIGTERM)
                await p.until(lambda: p.ended, what="the end of the session")
                server.process.send_signal(signal.SIGTERM)
                for _ in range(50):  # up to the very end
                    if server.process.poll() is None:
                        server.process.send_signal(signal.SIGHUP)
                        await asyncio.sleep(0.01)
                self.assertEqual(await off_loop(server.process.wait, 10), 0)
                self.assertLess(time.monotonic() - began, 3)

    async def test_start_that_fails_says_why_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                socket.socket() as tcp:
            for s in udp, tcp:
                s.bind(("127.0.0.1", 0))
            tcp.listen()
            good, old = Certificate(folder), Certificate(folder, "old", days=2, start_days=-9)
            other = Certificate(folder, "other")
            files = 'certificate = "%s"\nprivate_key = "%s"\n'
            for server, http, why in [
                    (f"port = {udp.getsockname()[1]}\n", "port = 0\n", "in use"),
                    ("port = 0\n", f"port = {tcp.getsockname()[1]}\n", "in use"),
                    ("port = 0\nhost = \"192.0.2.1\"\n", "port = 0\n", "cannot listen on 192.0.2.1"),
                    (files % (good.cert_path, other.key_path) + "port = 0\n", "port = 0\ntls = true\n", "other.key"),
                    (files % (old.cert_path, old.key_path) + "port = 0\n", "port = 0\n", "expired"),
                    (files % (folder + "/none", good.key_path) + "port = 0\n", "port = 0\n", "No such file")]:
                with self.subTest(why=why):
                    config = pathlib.Path(folder) / "mynah.toml"
                    host = "" if "host" in server else 'host = "127.0.0.1"\n'
                    config.write_text(f"[server]\n{host}{server}[http]\n{http}")
                    done = await off_loop(lambda: subprocess.run(
                        [binary(), "-c", str(config)], capture_output=True, text=True, timeout=30,
                        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}))
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(why, done.stderr)
                    self.assertNotIn("Sanitizer", done.stderr)
                    self.assertNotIn("ready version", done.stderr)

    async def test_hangup_changes_the_certificate_of_the_page_too(self):
        def shown():
            pem = ssl.get_server_certificate(("127.0.0.1", int(server.page.rsplit(":", 1)[1].rstrip("/"))))
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

        async def after_hangup():
            lines = len(server.lines)
            server.process.send_signal(signal.SIGHUP)
            await off_loop(lambda: [time.sleep(0.01) for _ in range(500) if len(server.lines) == lines])
            return await off_loop(shown)

        with tempfile.TemporaryDirectory() as folder:
            first = Certificate(folder)
            with Mynahd(server=first.config(), http="tls = true\n") as server:
                self.assertTrue(server.page.startswith("https:"))
                self.assertEqual(await off_loop(shown), first.sha256())
                second = Certificate(folder)
                self.assertEqual(await after_hangup(), second.sha256())
                second.key_path.write_text("no key\n")
                self.assertEqual(await after_hangup(), second.sha256())
                async with session(server, room="x") as p:
                    self.assertEqual(p.certificate_sha256(), second.sha256())

    async def test_hangup_with_a_development_certificate_changes_nothing(self):
        with Mynahd() as server:
            before = server.hashes()
            async with session(server, room="x") as p:
                server.process.send_signal(signal.SIGHUP)
                await off_loop(server.wait_for_line, "reload")
                self.assertEqual(await off_loop(server.hashes), before)
                p.say("ping", t=1)
                await p.expect("pong", t=1)
                self.assertIn(p.certificate_sha256(), before)


if __name__ == "__main__":
    unittest.main()
