#!/usr/bin/env python3
"""Talking over a worker, from mouth to ear: what all in the room hear of it, and what the worker is told."""
import asyncio
import pathlib
import sys
import time
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from measured import Child  # noqa: E402
from mynahd import Mynahd  # noqa: E402
from test_figures import Talker  # noqa: E402
from voice import fit, sessions, tones  # noqa: E402
from voice_case import VoiceCase  # noqa: E402

CALL = '[[room]]\nname = "call"\nbridge = "ai"\n'
ANN, BOB = {"room": "call", "name": "Ann", "frames": "v1"}, {"room": "call", "name": "Bob", "frames": "v1"}
HZ, VOICE_HZ = 600, 2000


def level(frame):
    """dBFS of the worker's tone, whatever else is in it."""
    return fit(frame.samples, frame.rate, HZ, VOICE_HZ)[0][0] if len(frame.samples) > 100 else -100


class Call:
    """Ann and Bob hear the worker's long story; Ann can say something."""

    def __init__(self, ai, ann, bob):
        self.ai, self.people = ai, (ann, bob)
        self.talker = Talker(ann, tones(16000, (VOICE_HZ, -10)))

    async def story(self, milliseconds):
        self.starts = [len(p.numbered) for p in self.people]
        await self.ai.say(milliseconds, HZ)
        for p, n in zip(self.people, self.starts):
            await p.until(lambda p=p, n=n: len(p.numbered) > n + 25, 5, "the story")

    def frames(self, i):
        return self.people[i].numbered[self.starts[i]:]


class BargeIn(VoiceCase):
    async def call(self, act, more=""):
        async def attempt():
            async with sessions(server, [ANN, BOB]) as (ann, bob):
                await asyncio.wait_for(ai.there.wait(), 10)
                call = Call(ai, ann, bob)
                await asyncio.sleep(0.5)
                await act(call)
                call.talker.task.cancel()
            await ai.gone()

        async with Child(more) as ai:
            with Mynahd(CALL + ai.config) as server:
                await self.again(attempt)

    async def test_once_confirmed_it_is_flushed_everywhere(self):
        """After 250 ms of voice, within 150 ms, for all."""
        async def act(call):
            n = len(call.ai.events)
            await call.story(4000)
            began = await call.talker.voice(40)
            ends = []
            for p in call.people:
                await p.expect("flush", epoch=1)
                ends.append(time.monotonic() - began)
            await asyncio.sleep(1)
            for i, p in enumerate(call.people):
                old = [f for f in call.frames(i) if f.epoch == 0 and level(f) > -60]
                self.assertFalse([f for f in call.frames(i) if f.epoch == 1 and level(f) > -45])
                self.assertTrue(0.2 < old[-1].at - began < 0.25 + 0.15, old[-1].at - began)
            self.assertTrue(all(0.22 < t < 0.25 + 0.15 for t in ends), ends)  # in ticks: the first is soon, the last is whole
            told = next(e for e in call.ai.events[n:] if e["type"] == "interrupted")
            heard = sum(len(f.samples) for f in call.frames(1) if f.epoch == 0 and level(f) > -60) / 16000
            self.assertAlmostEqual(told["heard_ms"] / 1000, heard, delta=0.06)
            self.figure(f"flushed {[round(1000 * t) for t in ends]} ms after the voice began; heard {told['heard_ms']} ms of it")
        await self.call(act)

    async def test_a_cough_turns_it_down_and_up_again_and_nothing_is_lost(self):
        async def act(call):
            n = len(call.ai.events)
            await call.story(2000)
            began = await call.talker.voice(6)
            await asyncio.sleep(2.5)
            for i, p in enumerate(call.people):
                story = [f for f in call.frames(i) if level(f) > -60]
                self.assertEqual({f.epoch for f in story}, {0})
                self.assertAlmostEqual(sum(len(f.samples) for f in story) / 16000, 2.0, delta=0.041)  # its ends are softened
                levels = np.array([level(f) for f in story])
                self.assertAlmostEqual(np.max(levels) - np.percentile(levels[2:-2], 5), 12, delta=1.5)
                down = next(f.at for f in story if f.at > began and level(f) < np.max(levels) - 10)
                self.assertLess(down - began, 0.15)
                self.assertAlmostEqual(levels[-10], np.max(levels), delta=0.5)
            self.assertFalse([e for e in call.ai.events[n:] if e["type"] == "interrupted"])
            self.assertFalse([line for p in call.people for line in p.lines if line["type"] == "flush"])
        await self.call(act)

    async def test_when_the_worker_decides_it_is_only_turned_down(self):
        async def act(call):
            await call.story(2000)
            await call.talker.voice(50)
            await asyncio.sleep(2)
            levels = np.array([level(f) for f in call.frames(1) if level(f) > -60])
            self.assertAlmostEqual(len(levels) / 50, 2.0, delta=0.041)
            self.assertAlmostEqual(levels[0:20].max() - np.median(levels[40:70]), 12, delta=1)
        await self.call(act, 'barge_in = "worker"')


if __name__ == "__main__":
    unittest.main()
