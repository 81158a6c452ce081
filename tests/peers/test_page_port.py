#!/usr/bin/env python3
# Runs alone: it takes all the time that a shard has.
"""The page's port pays for itself: who floods it with requests, handshakes of TLS or silence keeps nobody from joining,
from asking or from hearing a worker."""
import asyncio
import contextlib
import pathlib
import re
import socket
import ssl
import sys
import threading
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from mynahd import Mynahd, binary  # noqa: E402
from voice import connection, session  # noqa: E402
from voice_case import VoiceCase, off_loop  # noqa: E402

ODD = pathlib.Path(binary()).resolve().parents[1] / "tests/odd_worker"
ONE = "shards = 1\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def port_of(server):
    return int(re.search(r":(\d+)/", server.page).group(1))


@contextlib.contextmanager
def flood(attack, server, n):
    """`attack(port)` again and again in `n` threads; yields a list with one entry for each time."""
    done, stop = [], threading.Event()

    def run():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                attack(port_of(server), stop)
            done.append(1)

    threads = [threading.Thread(target=run) for _ in range(n)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def pipeline(port, stop):
    """A connection that asks for the page all the time and reads what comes, until it is ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        while not stop.is_set():
            s.sendall(GET * 16)
            if not s.recv(1 << 20):
                return


def shake_hands(port, _):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s, context.wrap_socket(s):
        pass


class PagePort(VoiceCase):
    async def join(self, server, n):
        """Opens `n` sessions one after the other; how each was answered."""
        async with contextlib.AsyncExitStack() as stack:
            statuses = []
            for i in range(n):
                peer = await stack.enter_async_context(connection(server))
                statuses.append(await peer.open_session(f"/audio?room=r{i % 10}"))
            return statuses

    async def test_requests_at_full_speed_keep_nobody_out(self):
        # A limit of requests would give the server time to rest.
        with Mynahd("[limits]\nhttp_requests_per_second = 1000000\n", server=ONE) as server, flood(pipeline, server, 2):
            await asyncio.sleep(1)  # what counts as load has a memory of half a second
            self.assertEqual(await self.join(server, 50), [200] * 50)
            self.assertNotIn("busy", server.log())
            requests = (await off_loop(server.metrics))["mynah_http_requests_total"]
            self.assertGreater(requests, 200)
            self.figure(f"{requests:.0f} requests")

    async def test_handshakes_of_tls_keep_nobody_out(self):
        with Mynahd(server=ONE, http="tls = true") as server, flood(shake_hands, server, 4) as done:
            await asyncio.sleep(1)
            self.assertEqual(await self.join(server, 20), [200] * 20)
            self.assertNotIn("busy", server.log())
            context = ssl._create_unverified_context()
            health = await off_loop(lambda: urllib.request.urlopen(server.page + "healthz", timeout=10, context=context).status)
            self.assertEqual(health, 200)
            self.figure(f"{len(done)} handshakes")

    async def test_silent_connections_leave_descriptors_for_answers_and_workers(self):
        config = f'[bridge.echo]\ntype = "process"\ncommand = ["{ODD}", "echo"]\n[[room]]\nname = "*"\nbridge = "echo"\n'
        server = Mynahd(config, server=ONE)
        server.command = ["prlimit", "--nofile=64:64", *server.command]
        with server, contextlib.ExitStack() as silent:
            for _ in range(600):
                silent.enter_context(socket.create_connection(("127.0.0.1", port_of(server)), timeout=10))
            self.assertEqual((await off_loop(server.get, "/healthz"))[0], 200)
            async with session(server, room="a"), session(server, room="b"):
                await off_loop(server.wait_for_metric, "mynah_bridges", 2)
                self.assertEqual((await off_loop(server.get, "/healthz"))[0], 200)
            self.assertNotIn("http accept", server.log())

    def test_limit_of_descriptors_is_the_highest_allowed(self):
        server = Mynahd()
        server.command = ["prlimit", "--nofile=100:200", *server.command]
        with server:
            limits = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
            self.assertEqual(re.search(r"Max open files +(\d+) +(\d+)", limits).groups(), ("200", "200"))


if __name__ == "__main__":
    unittest.main()
