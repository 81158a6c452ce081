#!/usr/bin/env python3
"""The configurations in docs/examples, run against the strict provider: copies in which only the addresses differ, and the
files as they are, in a network of their own in which api.openai.com is this machine. (The workers there are run by
test_workers.py, test_websocket_workers.py and bridge.test_process.)"""
import asyncio
import fcntl
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]
from mynahd import Mynahd, ROOT, binary  # noqa: E402
from realtime_provider import Provider  # noqa: E402
from voice import session, silence, talk, tones  # noqa: E402
from voice_case import Certificate, VoiceCase  # noqa: E402

EXAMPLES = ROOT / "docs/examples"
KEY = "sk-test-s3cret"
IN_ALONE = "MYNAH_TEST_ALONE"


def alone():
    """The command that runs another one in a network of its own, if there is one."""
    for command in ["unshare", "--net"], ["unshare", "--map-root-user", "--net"]:
        try:
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            pass
    return None


class Example(VoiceCase):
    async def answers(self, server, provider, greeting=None, room=None, nth=0):
        """Somebody says something and the model answers. Its instructions are in the session."""
        async with session(server, room=room) as p:
            s = await provider.session(nth)
            if greeting:
                self.assertIn(greeting, (await s.expect("response.create"))["response"]["instructions"])
                await s.until(lambda: s.response and s.response.done())
            await talk(p, tones(16000, (500, -14)), 1.0)
            await talk(p, silence, 0.4)
            await s.until(lambda: len(s.samples()) > 24000)
            before = len(p.heard())
            await s.respond(seconds=1, text="So it is.")
            end = time.monotonic() + 15
            while len(p.heard()) < before + 12000:
                self.assertLess(time.monotonic(), end)
                await asyncio.sleep(0.05)
            await p.expect("transcript", text="So it is.", final=True)
            return s

    def check_openai(self, s):
        self.assertEqual(s.query, {"model": "gpt-realtime-2.1"})
        self.assertEqual(s.headers["Authorization"], "Bearer " + KEY)
        self.assertEqual(s.config["audio"]["output"]["voice"], "marin")
        self.assertEqual(s.config["audio"]["input"]["transcription"], {"model": "gpt-transcribe"})
        self.assertIn("small shop", s.config["instructions"])

    def check_selfhosted(self, s):
        self.assertEqual(s.query, {"model": "gpt-realtime"})
        self.assertNotIn("Authorization", s.headers)
        self.assertEqual(s.config["instructions"], "You are a helpful voice. Be brief.")


def copy_of(name, url):
    """Only the addresses differ, theirs and ours (which Mynahd adds)."""
    text = (EXAMPLES / name).read_text().replace("[http]\nport = 8081 ", "# ")
    return text.replace('type = "openai"\n', f'type = "openai"\nurl = "{url}"\n', 1)


class Copies(Example):
    def test_each_is_valid(self):
        """Where mynah is not installed the programs that they name lie beside them."""
        for example in EXAMPLES.glob("*.toml"):
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as copy:
                copy.write(example.read_text().replace("/usr/share/doc/mynah/docs/examples", str(EXAMPLES)))
                copy.flush()
                run = subprocess.run([binary(), "--check-config", copy.name], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)

    async def test_openai(self):
        async with Provider(key=KEY) as provider:
            with Mynahd(copy_of("openai.toml", provider.url), env={"OPENAI_API_KEY": KEY}) as server:
                self.check_openai(await self.answers(server, provider, "Hello! What can I do for you?"))
                self.assertNotIn("s3cret", server.log())

    async def test_selfhosted(self):
        async with Provider(key=None) as provider:
            with Mynahd(copy_of("selfhosted.toml", provider.url)) as server:
                self.check_selfhosted(await self.answers(server, provider))
                self.check_selfhosted(await self.answers(server, provider, room="lobby", nth=1))

    def test_as_they_are(self):
        command = alone()
        if not command:
            self.skipTest("no network of one's own can be had here: unshare --net")
        run = subprocess.run([*command, sys.executable, __file__, "-v", "AsTheyAre"], capture_output=True, text=True,
                             env={**os.environ, IN_ALONE: "1"})
        self.assertEqual(run.returncode, 0, run.stderr[-4000:])
        self.assertIn("\nRan 2 tests", run.stderr)


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def give_address(index, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        name = f"lo:{index}".encode()
        fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))  # SIOCSIFADDR


class NameServer(asyncio.DatagramProtocol):
    """Every name is this machine."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        end = data.index(b"\0", 12) + 5
        kind = struct.unpack(">H", data[end - 4:end - 2])[0]
        found = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("127.0.0.1") if kind == 1 else b""
        self.transport.sendto(data[:2] + struct.pack(">HHHHH", 0x8180, 1, bool(found), 0, 0) + data[12:end] + found, peer)


def name_servers():
    try:
        lines = pathlib.Path("/etc/resolv.conf").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    return [words[1] for words in map(str.split, lines) if words[:1] == ["nameserver"] and ":" not in words[1]] or ["127.0.0.1"]


@unittest.skipUnless(os.environ.get(IN_ALONE), "a part of test_as_they_are")
class AsTheyAre(Example):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        raise_loopback()
        for i, address in enumerate(name_servers()):
            if not address.startswith("127."):
                give_address(i, address)

    @staticmethod
    def mynahd(name, env):
        server = Mynahd(env=env)
        server.command = [binary(), "-c", str(EXAMPLES / name)]
        return server

    async def test_openai(self):
        cert = Certificate(self.folder.name, others=["api.openai.com"])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert.cert_path, cert.key_path)
        for address in name_servers():
            name_server, _ = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, (address, 53))
            self.addCleanup(name_server.abort)
        async with Provider(key=KEY, tls=tls, port=443) as provider:
            with self.mynahd("openai.toml", {"OPENAI_API_KEY": KEY, "SSL_CERT_FILE": str(cert.cert_path)}) as server:
                s = await self.answers(server, provider, "Hello! What can I do for you?")
                self.check_openai(s)
                self.assertEqual(s.headers["Host"], "api.openai.com")
                self.assertNotIn("s3cret", server.log())

    async def test_selfhosted(self):
        async with Provider(key=None, port=8080) as provider:
            with self.mynahd("selfhosted.toml", {}) as server:
                self.check_selfhosted(await self.answers(server, provider, room="lobby"))


if __name__ == "__main__":
    unittest.main()
