#!/usr/bin/env python3
"""The page in a real Chromium, with a real daemon: what people hear, read and see. One browser's microphone speaks
a sentence again and again, the other's hums a tone. Pictures of the page go to $MYNAH_SCREENSHOTS, if that is set."""
import os
import pathlib
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from browser import Tab, level_at, likeness, spoken, tone  # noqa: E402
from mynahd import Mynahd  # noqa: E402

HUM = 3500
ROOMS = '[[room]]\nname = "small"\nmax_participants = 1\n[[room]]\nname = "*"\n'


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="mynah-browser-", ignore_cleanup_errors=True)
        cls.pictures = os.environ.get("MYNAH_SCREENSHOTS") or cls.folder.name
        cls.sentence = spoken("The bird repeats what I say", 0, 0)
        cls.talker = Tab(cls.folder.name, "talker", spoken("The bird repeats what I say", 0.5, 5))
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.talker.quit)
        cls.hummer = Tab(cls.folder.name, "hummer", tone(HUM))
        cls.addClassCleanup(cls.hummer.quit)

    def setUp(self):
        self.server = Mynahd(ROOMS)
        self.server.start()
        self.addCleanup(self.end)

    def end(self):
        for tab in self.talker, self.hummer:
            tab.leave()
        self.server.stop()
        self.server.dir.cleanup()

    def figure(self, text):
        if "-v" in sys.argv:
            print(text, file=sys.stderr)

    def test_alone_with_the_parrot(self):
        self.talker.open(self.server)
        self.talker.live()
        for _ in range(3):  # a busy machine makes browsers stumble
            x, rate = self.talker.heard(9)
            same = likeness(x, rate, self.sentence)
            if same > 0.75:
                break
        self.figure(f"the parrot's sentence and mine: {same:.3f} alike")
        self.talker.picture(self.pictures, "parrot")
        self.assertGreater(same, 0.75)
        self.assertIn("parrot", self.talker.text("#people"))

    def two_in_a_room(self, room="den"):
        self.talker.open(self.server, room=room, name="Ann")
        self.hummer.open(self.server, room=room, name="Bob")
        self.talker.live()
        self.hummer.live()
        for tab in self.talker, self.hummer:
            tab.until("window.mynah.figures().participants.length === 2")

    def test_keys_withstand_quantum_computers(self):
        self.two_in_a_room()
        self.assertEqual(set(self.server.key_exchanges()), {"X25519MLKEM768"})

    def test_two_hear_each_other_and_not_themselves(self):
        self.two_in_a_room()
        time.sleep(1)
        x, rate = self.talker.heard(3)
        hum, other = level_at(x, rate, HUM), level_at(x, rate, 1300)
        self.figure(f"the talker hears the hum at {hum:.1f} dBFS")
        self.assertAlmostEqual(hum, -14, delta=2)
        self.assertLess(other, hum - 40)
        self.assertLess(likeness(x, rate, self.sentence), 0.4)
        for _ in range(3):  # a busy machine makes browsers stumble
            x, rate = self.hummer.heard(9)
            same = likeness(x, rate, self.sentence)
            if same > 0.75:
                break
        self.figure(f"the hummer hears the sentence, {same:.3f} alike; its own hum at {level_at(x, rate, HUM):.1f} dBFS")
        self.assertGreater(same, 0.75)
        self.assertLess(level_at(x, rate, HUM), -35)  # what the sentence has there
        self.talker.picture(self.pictures, "room")
        self.assertIn("Bob", self.talker.text("#people"))

    def test_messages_and_mute(self):
        self.two_in_a_room()
        self.talker.say("hello <b>Bob</b>")
        self.hummer.until("document.querySelector('#log').innerText.includes('hello <b>Bob</b>')")
        self.assertIn("Ann", self.hummer.text("#log"))
        self.hummer.picture(self.pictures, "message")
        self.hummer.click("#mute")
        self.talker.until("document.querySelector('#people').innerText.includes('muted')")
        time.sleep(0.5)
        x, rate = self.talker.heard(1.5)
        self.assertLess(level_at(x, rate, HUM), -70)
        self.hummer.click("#mute")
        self.talker.until("!document.querySelector('#people').innerText.includes('muted')")
        time.sleep(1)
        x, rate = self.talker.heard(1.5)
        self.assertAlmostEqual(level_at(x, rate, HUM), -14, delta=3)

    def test_leaving_and_closing_the_tab(self):
        self.two_in_a_room()
        self.hummer.leave()
        self.talker.until("window.mynah.figures().participants.length === 1", 10)
        self.talker.click("#leave")
        self.talker.until("window.mynah.state === 'idle'")
        self.server.wait_for_metric("mynah_sessions", 0)

    def test_server_killed_and_restarted(self):
        self.talker.open(self.server, room="den")
        self.talker.live()
        ports = {"port": self.server.port, "http_port": int(self.server.page.rstrip("/").rsplit(":", 1)[1])}
        self.server.process.kill()
        self.server.process.wait()
        self.talker.until("!document.querySelector('#notice').hidden", 60)
        self.talker.until("document.querySelector('#notice').innerText.match(/does not answer|was lost|restarting/)")
        self.talker.picture(self.pictures, "gone")
        again = Mynahd(ROOMS, **ports)
        again.start()
        self.server, dead = again, self.server
        dead.reader.join()
        dead.process.stderr.close()
        dead.dir.cleanup()
        self.talker.live(60)
        self.assertTrue(self.talker.js("return document.querySelector('#notice').hidden"))

    def test_server_stopped_politely(self):
        self.talker.open(self.server, room="den")
        self.talker.live()
        self.server.process.terminate()
        self.talker.until("window.mynah.state === 'waiting'", 10)
        self.talker.until("document.querySelector('#notice').innerText.match(/restarting|does not answer/)")
        self.server.process.wait(10)

    def test_room_full(self):
        self.talker.open(self.server, room="small")
        self.talker.live()
        self.hummer.open(self.server, room="small")
        self.hummer.until("document.querySelector('#notice').innerText.includes('The room is full')")
        self.hummer.picture(self.pictures, "full")
        self.talker.leave()
        self.server.wait_for_metric("mynah_participants", 0, 45)
        self.hummer.js("[...document.querySelectorAll('#notice button')].find((b) => b.innerText === 'Try again').click()")
        self.hummer.live()

    def press_connect(self, room, seconds=30):
        self.hummer.js("document.querySelector('#room').value = arguments[0]; document.querySelector('#join').requestSubmit()", room)
        self.hummer.until("window.mynah.state === 'live' || (window.mynah.state === 'idle' && window.mynah.problem)", seconds)

    def test_a_page_that_was_refused_twelve_times_is_in_the_next_room_at_once(self):
        """Chromium makes a page wait 10 ms * 2^n after n sessions that did not open."""
        self.talker.open(self.server, room="small")
        self.talker.live()
        self.hummer.open(self.server, room="small", autoconnect=0)
        self.hummer.until("window.mynah")
        for _ in range(12):
            self.press_connect("small")
            self.assertIn("The room is full", self.hummer.text("#notice"))
        began = time.monotonic()
        self.press_connect("den")
        self.assertEqual(self.hummer.js("return window.mynah.state"), "live")
        self.figure(f"after twelve refusals: live within {time.monotonic() - began:.1f} s")
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual(self.server.metrics()["mynah_sessions_opened_total"], 2)

    def test_a_refusal_that_nobody_asked_for_before_is_read_in_the_session(self):
        """As above, by connect() of mynah.js without a word of /check."""
        self.talker.open(self.server, room="small")
        self.talker.live()
        self.hummer.open(self.server, autoconnect=0)
        got = self.hummer.driver.execute_async_script("""
            const done = arguments[0];
            (async () => {
                const { connect, serverInfo } = await import(new URL('mynah.js', location.href));
                const { check, frames, ...info } = await serverInfo();
                const refusals = [];
                for (let i = 0; i < 12; i++)
                    refusals.push(await connect({ ...info, room: 'small' }).catch(({ kind, facts, message }) => [kind, facts.status, message].join()));
                const began = performance.now();
                const call = await connect({ ...info, room: 'den' });
                const ms = performance.now() - began;
                call.close('', { now: true });
                return { refusals, ms };
            })().then(done, (error) => done({ error: String(error) }));""")
        self.assertNotIn("error", got)
        self.assertEqual(set(got["refusals"]), {"refused,503,the room is full"})
        self.figure(f"after twelve refusals: open within {got['ms']:.0f} ms")
        self.assertLess(got["ms"], 5000)

    def test_many_failures_are_not_blamed_on_a_firewall(self):
        """The daemon's voice port answers nobody: what /mynah.json names is another one."""
        self.hummer.open(self.server, autoconnect=0)
        self.hummer.until("window.mynah")
        self.hummer.js("""
            const ask = window.fetch;
            window.fetch = async (url, how) => {
                const answer = await ask(url, how);
                return String(url).endsWith('mynah.json') ? Response.json({ ...await answer.json(), url: 'https://127.0.0.1:9/audio' }) : answer;
            };""")
        for _ in range(8):
            self.press_connect("den", 60)
        self.hummer.picture(self.pictures, "held-back")
        self.assertIn("holds new connections back", self.hummer.text("#notice"))
        self.assertIn("Reload the page", self.hummer.text("#notice"))


if __name__ == "__main__":
    unittest.main()
