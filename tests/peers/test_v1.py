#!/usr/bin/env python3
"""A real mynahd and clients on aioquic that number their frames: sequence, media time, loss, flush."""
import asyncio
import pathlib
import sys
import time
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from mynahd import Mynahd  # noqa: E402
from voice import V1_BEGINS, V1_ENDS, connection, path_of, session, talk, tones  # noqa: E402
from voice_case import PATIENT, VoiceCase, off_loop  # noqa: E402

ECHO = PATIENT + '[private]\nbridge = "echo"\n'
TONE = '[private]\nbridge = "whistle"\n[bridge.whistle]\ntype = "tone"\nbarge_in = "immediate"\n'


async def talk_v1(peer, sound, seconds, order=lambda i: [i], rate=16000, sequence=65500, media=2**32 - 4000, flags=False):
    """As talk(), with numbers. In the moment of frame i, the frames order(i) are sent."""
    t0, n = asyncio.get_running_loop().time(), rate // 50
    frames = round(seconds * 50)
    for i in range(frames):
        for k in order(i):
            bits = (V1_BEGINS * (k == 0) + V1_ENDS * (k == frames - 1)) * flags
            peer.send_v1(sound(k * n, n), sequence + k, media + k * n, rate, bits)
        await asyncio.sleep(max(0, t0 + (i + 1) * 0.02 - asyncio.get_running_loop().time()))


def heard(frames):
    return np.concatenate([f.samples for f in frames])


class V1(VoiceCase):
    def assert_numbers(self, frames):
        """Consecutive, in sequence and, within a talkspurt, in media time."""
        for a, b in zip(frames, frames[1:]):
            self.assertEqual((b.sequence - a.sequence) & 0xFFFF, 1)
            passed = (b.time - a.time) & 0xFFFFFFFF
            if b.begins:
                self.assertGreater(passed, len(a.samples))
            else:
                self.assertEqual(passed, len(a.samples))

    async def test_a_client_of_v1_sends_and_receives_numbered_frames(self):
        async def attempt():
            async with session(server, frames="v1") as p:
                self.assertEqual(p.lines[0]["frames"], "v1")
                await talk_v1(p, tones(16000, (700, -15)), 1.5)
                await asyncio.sleep(0.6)
                self.assertEqual(p.frames, [])
                self.assertGreaterEqual(len(p.numbered), 65)
                self.assertTrue(p.numbered[0].begins)
                self.assertEqual(sum(f.begins for f in p.numbered), 1)
                self.assertEqual({(f.rate, len(f.samples), f.epoch) for f in p.numbered}, {(16000, 320, 0)})
                self.assert_numbers(p.numbered)
                self.figure(f"echo {self.assert_clean(heard(p.numbered)[4800:20800], 16000, {700: -15}):.0f} dB")
                stats = await p.stats()
                self.assertEqual((stats["frames_lost"], stats["frames_late"], stats["frames_duplicate"]), (0, 0, 0))
                # a pause of the room's: the numbers go on, and media time with the clock
                last = p.numbered[-1]
                await asyncio.sleep(1)
                await talk_v1(p, tones(16000, (700, -15)), 0.5, sequence=1000, media=0)
                await asyncio.sleep(0.5)
                self.assert_numbers(p.numbered)
                first = next(f for f in p.numbered if f.begins and f.at > last.at)
                self.assertAlmostEqual(((first.time - last.time) & 0xFFFFFFFF) / 16000, first.at - last.at, delta=0.1)

        with Mynahd(ECHO) as server:
            await self.again(attempt)

    async def test_a_frame_that_is_cut_has_a_number_for_each_piece(self):
        async def attempt():
            async with session(server, frames="v1", rate=48000) as p:
                await talk_v1(p, tones(16000, (700, -15)), 1)
                await asyncio.sleep(0.5)
                self.assertEqual({(f.rate, len(f.samples)) for f in p.numbered}, {(48000, 480)})
                self.assert_numbers(p.numbered)

        with Mynahd(ECHO) as server:
            await self.again(attempt)

    async def test_a_room_with_both_kinds(self):
        async def attempt():
            async with session(server, room="both") as old, session(server, room="both", frames="v1") as new:
                self.assertEqual(old.lines[0]["frames"], "legacy")
                await asyncio.gather(talk(old, tones(16000, (400, -15)), 1.8), talk_v1(new, tones(16000, (1100, -15)), 1.8))
                await asyncio.sleep(0.6)
                self.assertEqual((old.numbered, new.frames), ([], []))
                self.assert_clean(old.heard()[8000:24000], 16000, {1100: -15})
                self.assert_clean(heard(new.numbered)[8000:24000], 16000, {400: -15})
                self.assert_numbers(new.numbered)

        with Mynahd(PATIENT) as server:
            await self.again(attempt)

    async def test_order_and_repetition_cost_nothing(self):
        def order(i):
            if i % 5 == 3:
                return []
            if i % 5 == 4:
                return [i, i - 1]  # the one before was overtaken
            return [i, i] if i % 5 == 1 else [i]

        async def attempt():
            async with session(server, frames="v1") as p:
                await talk_v1(p, tones(16000, (700, -15)), 2, order)
                await asyncio.sleep(0.6)
                stats = await p.stats()
                self.assertEqual((stats["frames_lost"], stats["frames_late"]), (0, 0))
                self.assertEqual((stats["frames_reordered"], stats["frames_duplicate"]), (20, 20))
                self.assert_clean(heard(p.numbered)[4800:24000], 16000, {700: -15})

        with Mynahd(ECHO) as server:
            await self.again(attempt)

    async def test_loss_is_counted_and_concealed_in_place(self):
        async def attempt():
            async with session(server, frames="v1") as p:
                await talk_v1(p, tones(16000, (50, -15)), 3, lambda i: [] if i % 10 == 7 else [i], flags=True)
                await asyncio.sleep(0.6)
                stats = await p.stats()
                self.assertEqual(stats["frames_lost"], 15)
                # fifteen frames of concealment in the three seconds, nothing shorter and nothing longer
                self.assertAlmostEqual(len(heard(p.numbered)), 3 * 16000, delta=4 * 320)

        with Mynahd(ECHO) as server:
            await self.again(attempt)
            await off_loop(server.wait_for_metric, "mynah_sessions", 0)
            self.assertEqual(server.metrics()['mynah_frames_by_sequence_total{what="lost"}'] % 15, 0)

    async def test_later_versions_are_refused(self):
        with Mynahd(ECHO) as server:
            async with connection(server) as peer:
                self.assertEqual(await peer.open_session(path_of(frames="v2")), 400)
            async with session(server) as p:
                p.send_datagram(b"\x01\x80" + bytes(30))
                await p.expect("warning", code="unsupported")

    async def test_flush_when_a_bridge_is_interrupted(self):
        async def attempt():
            async with session(server, frames="v1") as p, session(server, name="old") as old:
                for peer in p, old:
                    await peer.until(lambda: len(peer.numbered) + len(peer.frames) > 50, 10, "the tone")
                    began = time.monotonic()
                    talking = asyncio.create_task(talk(peer, tones(16000, (700, -15)), 0.8))
                    line = await peer.expect("flush", 3)
                    took = time.monotonic() - began
                    self.figure(f"flush after {1000 * took:.0f} ms")
                    self.assertEqual(line["epoch"], 1)
                    self.assertLess(took, 0.15)
                    await talking
                self.assertEqual({f.epoch for f in p.numbered}, {0, 1})
                # silent while the client talks, in the new epoch afterwards
                gaps = [b.at - a.at for a, b in zip(p.numbered, p.numbered[1:])]
                self.assertGreater(max(gaps), 0.8)
                at = int(np.argmax(gaps))
                self.assertTrue(p.numbered[at + 1].begins)
                self.assertEqual(p.numbered[at + 1].epoch, 1)
                self.assertLess(p.numbered[at].at - began, 10)
                p.say("played", epoch=1, samples=320)
                p.say("played", epoch=7, samples=10**15)
                await p.settled()
                self.assertNotIn("error", [line["type"] for line in p.lines])
                p.say("played", epoch=256, samples=0)
                await p.expect("error", code="bad_message")

        with Mynahd(TONE) as server:
            await self.again(attempt)
            self.assertGreaterEqual(server.metrics()["mynah_flushes_total"], 2)


if __name__ == "__main__":
    unittest.main()
