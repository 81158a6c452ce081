#!/usr/bin/env python3
# Runs alone: what it measures is time.
"""What the server adds between people and an AI, measured: MYNAH_ROUNDS=200 for figures, few rounds otherwise. The clients and all
but one of the workers run in this process, on the same clock; what they take themselves is in the figures. The assertions are
far off what is measured: a machine that is busy with other things must not fail them."""
import asyncio
import os
import pathlib
import random
import re
import signal
import socket
import sys
import time
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from measured import Bot, Child, Model  # noqa: E402
from mynahd import Mynahd  # noqa: E402
from voice import session, tones  # noqa: E402
from voice_case import VoiceCase, off_loop  # noqa: E402

ROUNDS = int(os.environ.get("MYNAH_ROUNDS", "8"))
PER_SESSION = 8  # the place of a talker's frames between the room's ticks is another one in each
VOICE = tones(16000, (300, -10))
LOUD = 3000
PRIVATE = '[private]\nbridge = "ai"\n'
DEBUG = '[log]\nlevel = "debug"\n'


def loud(samples):
    return len(samples) > 0 and int(np.max(np.abs(samples))) > LOUD


class Talker:
    """Sends a frame every 20 ms, silence unless told otherwise."""

    def __init__(self, peer, sound=VOICE):
        self.peer = peer
        self.sound = sound
        self.voiced = 0          # frames of voice to be sent yet
        self.sent = []           # when the first of each was
        self.task = asyncio.ensure_future(self.run())

    async def run(self):
        loop = asyncio.get_running_loop()
        t0, i, before = loop.time(), 0, 0
        while True:
            if self.voiced and not before:
                self.sent.append(time.monotonic())
            before = self.voiced
            self.peer.send_pcm(self.sound(i * 320, 320) if self.voiced else np.zeros(320, "<i2"))
            self.voiced -= self.voiced > 0
            i += 1
            await asyncio.sleep(max(0, t0 + i * 0.02 - loop.time()))

    async def voice(self, frames):
        n = len(self.sent)
        self.voiced = frames
        while len(self.sent) == n:
            await asyncio.sleep(0.001)
        return self.sent[-1]


class Figures(VoiceCase):
    def show(self, what, seconds, goal_ms, most_ms):
        ms = 1000 * np.array(seconds)
        print(f"{what}: median {np.median(ms):.1f} ms, p99 {np.percentile(ms, 99):.1f} ms, most {max(ms):.1f} ms of {len(ms)} "
              f"(goal {goal_ms} ms)", file=sys.stderr)
        self.assertLess(np.median(ms), most_ms)

    async def rounds(self, kind, measure, more='barge_in = "off"', rounds=ROUNDS):
        """measure(ai, peer, talker) in one session after the other; what it yields."""
        values = []
        async with kind(more) as ai:
            with Mynahd(PRIVATE + ai.config + DEBUG, env=ai.env) as server:
                self.server = server
                while len(values) < rounds:
                    async with session(server, frames=self.frames) as p:
                        await asyncio.wait_for(ai.there.wait(), 10)
                        talker = Talker(p)
                        await asyncio.sleep(0.4 + random.random() * 0.02)
                        for _ in range(min(PER_SESSION, rounds - len(values))):
                            values.append(await measure(ai, p, talker))
                        talker.task.cancel()
                    await ai.gone()
        return values

    frames = None

    async def mouth_to_ai(self, ai, p, talker):
        n = len(ai.heard)
        sent = await talker.voice(2)
        await p.until(lambda: len(ai.heard) > n, 5, "the voice at the worker")
        await asyncio.sleep(0.2)
        return ai.heard[n] - sent

    async def ai_to_ear(self, ai, p, talker):
        n = len(p.frames)
        await asyncio.sleep(random.random() * 0.04)
        said = await ai.say(40, 600)
        frame = await p.until(lambda: next((f for f in p.frames[n:] if loud(f.samples)), None), 5, "the worker's voice")
        await asyncio.sleep(0.3)
        return frame.at - said

    async def test_from_the_mouth_to_the_ai(self):
        for kind in Child, Bot, Model:
            self.show(f"mouth to AI, {kind.name}", await self.rounds(kind, self.mouth_to_ai), 40 if kind is Model else 20, 150)

    async def test_from_the_ai_to_the_ear(self):
        for kind in Child, Bot, Model:
            self.show(f"AI to ear, {kind.name}", await self.rounds(kind, self.ai_to_ear), 20, 150)

    async def test_after_a_stall_the_ai_hears_the_present(self):
        """A bot that did not read for a while then hears the present, not the past."""
        class Small(Bot):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.bind(("127.0.0.1", 0))

        async def stall(ai, p, talker):
            ai.bot.ws.transport.pause_reading()
            await asyncio.sleep(2)
            ai.bot.ws.transport.resume_reading()
            await asyncio.sleep(0.7)
            return await self.mouth_to_ai(ai, p, talker)

        values = await self.rounds(Small, stall, rounds=3)
        self.show("mouth to AI after 2 s in which it did not read", values, 20, 100)

    async def decision_to_silence(self, ai, p, talker):
        """The client has v1 frames and plays them when they come: it does not play frames of an old epoch."""
        n, n_events = len(p.numbered), len(ai.events)
        await ai.say(3000, 600)
        await p.until(lambda: sum(loud(f.samples) for f in p.numbered[n:]) > 15, 5, "the worker's voice")
        before = len(p.lines)
        sent = await talker.voice(15)
        await p.expect("flush", start=before)
        flushed = time.monotonic()
        await asyncio.sleep(1.0)
        last = [f for f in p.numbered[n:] if loud(f.samples)][-1]
        if isinstance(ai, Child):
            heard_ms = next(e["heard_ms"] for e in ai.events[n_events:] if e["type"] == "interrupted")
            self.assertTrue(100 < heard_ms < 3000, heard_ms)
        return last.at - sent, flushed - sent

    async def test_from_the_decision_to_silence(self):
        self.frames = "v1"
        for kind in Child, Bot, Model:
            values = await self.rounds(kind, self.decision_to_silence, 'barge_in = "immediate"', max(4, ROUNDS // 4))
            self.show(f"decision to the last sound of the AI, {kind.name}", [v for v, _ in values], 60, 300)
            self.show(f"decision to the flush at the client, {kind.name}", [v for _, v in values], 60, 300)

    async def test_from_the_death_of_a_worker_to_its_next_word(self):
        values = []
        async with Child('barge_in = "off"') as ai:
            with Mynahd(PRIVATE + ai.config + DEBUG) as server:
                while len(values) < max(4, ROUNDS // 8):
                    async with session(server) as p:
                        await asyncio.wait_for(ai.there.wait(), 10)
                        talker = Talker(p)
                        await ai.say(500, 600)
                        await p.until(lambda: any(loud(f.samples) for f in p.frames), 5, "the worker's voice")
                        pid = int(re.findall(r"the worker has started pid=(\d+)", server.log())[-1])
                        killed = time.monotonic()
                        os.kill(pid, signal.SIGKILL)
                        await p.expect("bridge", up=False)
                        await ai.gone()
                        said = await ai.say(100, 600)
                        frame = await p.until(lambda: next((f for f in p.frames if f.at > said and loud(f.samples)), None), 5,
                                              "its voice again")
                        values.append(frame.at - killed)
                        await p.expect("bridge", up=True)
                        talker.task.cancel()
                    await ai.gone()
        self.show("death of a worker to its next word", values, 1000, 3000)


if __name__ == "__main__":
    unittest.main()
