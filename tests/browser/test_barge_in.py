#!/usr/bin/env python3
"""The page in a real Chromium talks over the parrot: how soon it is silent at the ear. The microphone says a sentence,
pauses, and says it again while the parrot repeats the first."""
import pathlib
import sys
import tempfile
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from browser import RATE, Tab, tone  # noqa: E402
from mynahd import Mynahd  # noqa: E402

SAID, PAUSE, OVER, REST = 4.0, 2.2, 1.5, 6.0  # seconds: sound, silence, sound over the answer, silence

PARROT = 0.6 + 0.3  # its pause_ms, and what it keeps from before the voice


def microphone():
    """Two tones that tell the first from what talks over it."""
    return np.concatenate([np.zeros(RATE // 2), tone(800, SAID), np.zeros(int(PAUSE * RATE)), tone(2000, OVER),
                           np.zeros(int(REST * RATE))])


def loud(x, rate, hz):
    """For each 10 ms, the level of a tone, by correlation."""
    n = rate // 100
    x = x[:len(x) // n * n].reshape(-1, n)
    t = np.arange(n) / rate
    return 2 * np.hypot(x @ np.cos(2 * np.pi * hz * t), x @ np.sin(2 * np.pi * hz * t)) / n


class BargeIn(unittest.TestCase):
    def test_the_parrot_falls_silent_at_the_ear(self):
        with tempfile.TemporaryDirectory(prefix="mynah-browser-", ignore_cleanup_errors=True) as folder, \
                Mynahd() as server:
            tab = Tab(folder, "interrupter", microphone())
            try:
                tab.open(server)
                tab.live()
                tab.js("window.flushes = []; window.mynah.call.on('flush', ({ epoch }) => window.flushes.push(epoch))")
                for _ in range(3):  # a busy machine makes browsers stumble
                    x, rate = tab.heard(SAID + PAUSE + OVER + REST + 4)
                    runs = self.answers(loud(x, rate, 800))
                    if tab.js("return window.flushes.length") and any(self.was_cut(run) for run in runs):
                        break
                figures = tab.js("return window.mynah.figures()")
                flushes, epoch, frames = tab.js("return [window.flushes, window.mynah.call.welcome, window.mynah.call.counts]")
            finally:
                tab.quit()
            self.assertEqual(epoch["frames"], "v1")
            self.assertTrue(flushes)
            self.assertEqual(flushes[:2], [1, 2][:len(flushes)])
            self.assertGreaterEqual(server.metrics()["mynah_flushes_total"], len(flushes))
            self.assertEqual(frames["bad"], 0)
            if "-v" in sys.argv:
                print(f"answers {runs} s; flushes {flushes}; {frames}; buffer {figures.get('buffer_ms')}", file=sys.stderr)
            # The answer begins PARROT after the end of what was said and would have lasted as long; it was cut where the
            # second tone began. On the way here both take as long, but that what was flushed is not waited for.
            self.assertTrue(any(self.was_cut(run) for run in runs), runs)
            self.assertFalse(any(run > SAID - 0.2 for run in runs), runs)

    @staticmethod
    def was_cut(run):
        return abs(run - (PAUSE - PARROT)) < 0.2

    @staticmethod
    def answers(level):
        """How long each stretch of the first tone lasted, in seconds; but one that was already on. A stumble is none."""
        on = np.concatenate([[0], (level > 0.03).astype(int), [0]])
        edges = np.diff(on)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        if len(starts):
            apart = starts[1:] - ends[:-1] > 30
            starts, ends = starts[np.r_[True, apart]], ends[np.r_[apart, True]]
        return [int(b - a) / 100 for a, b in zip(starts, ends) if a > 0 and b < len(level) and b - a > 5]


if __name__ == "__main__":
    unittest.main()
