#!/usr/bin/env python3
"""A call in a real Chromium whose network is dead for two seconds: which frames come then, and how old they are. The
server is one of the test's own, which stalls when it is told to; the page is the daemon's."""
import asyncio
import pathlib
import sys
import tempfile
import threading
import time
import unittest

from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "web"), str(HERE)]
from browser import Tab, tone  # noqa: E402
from fake_server import Session, make_certificate  # noqa: E402
from mynahd import Mynahd  # noqa: E402

TALK = """
    const [url, hash, done] = arguments;
    (async () => {
        const { connect } = await import(new URL('mynah.js', location.href));
        const call = await connect({ url, certificateHashes: [hash], frames: 'legacy' });
        const made = [];
        window.jam = { call, made };
        const began = performance.now();
        setInterval(() => {
            for (; made.length * 20 < performance.now() - began; made.push(performance.timeOrigin + performance.now()))
                call.sendAudio(new Int16Array(320).fill(made.length), 16000);
        }, 5);
    })().then(done, (error) => done(String(error)));"""


class Listener(Session):
    """Notes when each frame came."""
    stalled = False
    frames = []  # (time, number)

    def datagram_received(self, data, address):
        if not self.stalled:
            super().datagram_received(data, address)

    def on_audio(self, data):
        self.frames.append((time.time(), int.from_bytes(data[2:4], "little")))


class Server:
    """In a thread of its own."""

    def __init__(self, folder):
        cert, key, self.hash = make_certificate(folder)
        self.quic = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65536, idle_timeout=30)
        self.quic.load_cert_chain(cert, key)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(
            serve("127.0.0.1", 0, configuration=self.quic, create_protocol=Listener), self.loop).result()
        self.port = server._transport.get_extra_info("sockname")[1]

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


class Jam(unittest.TestCase):
    def test_after_a_jam_the_newest_frames_come_not_the_oldest(self):
        with tempfile.TemporaryDirectory(prefix="mynah-jam-", ignore_cleanup_errors=True) as folder, Mynahd() as page:
            server = Server(folder)
            self.addCleanup(server.stop)
            tab = Tab(folder, "jam", tone(1000))
            self.addCleanup(tab.quit)
            tab.open(page, autoconnect=0)
            self.assertIsNone(tab.driver.execute_async_script(TALK, f"https://127.0.0.1:{server.port}/audio?room=x", server.hash))
            time.sleep(3)
            self.assertGreater(len(Listener.frames), 100)
            Listener.stalled = True
            time.sleep(2)  # and as long again until Chromium tries; after six seconds the call would be given up
            Listener.stalled = False
            resumed, n = time.time(), len(Listener.frames)
            time.sleep(6)
            made = [ms / 1000 for ms in tab.js("return window.jam.made")]
            counts = tab.js("window.jam.call.close(); return window.jam.call.counts")
            came = [(at, number) for at, number in Listener.frames[n:] if number < len(made)]
            ages = [at - made[number] for at, number in came]
            old = [f"{number}: {age:.2f} s" for (at, number), age in zip(came[:50], ages) if age > 0.4]
            print(f"the first frame after the jam came {came[0][0] - resumed:.2f} s later; {len(came)} in six seconds, of the "
                  f"first fifty older than 0.4 s: {old}; {counts}", file=sys.stderr)
            self.assertGreater(len(came), 100)
            self.assertLessEqual(len(old), 4)  # what the browser had taken already


if __name__ == "__main__":
    unittest.main()
