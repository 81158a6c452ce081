"""What all attacks have in common: the table that they stand in, the town where they happen, and the judge.

An attack is a coroutine with its line in the table:

    @attack("session", "500 frames a second from one person, ten times the normal rate", answer="goes on")
    async def datagram_flood(a): ...

It goes on for `a.seconds`, and returns how the server answered (a code, a status, "goes on"), which the table names in
`answer`. Meanwhile two victims talk, write and are joined by a newcomer; see Town.judge for what they may lose: nothing."""
import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "peers"), str(HERE)]
from mynahd import Mynahd  # noqa: E402
from raw_quic import Raw  # noqa: E402
from voice import connection, session  # noqa: E402
from voice_case import PATIENT, off_loop  # noqa: E402

GOES_ON = "goes on"  # what the attacker gets who is borne
KEY = "sk-test-s3cret"
ROOM = "the call"     # where the victims are
JOIN_MS = 2000       # a newcomer is in by then


@dataclasses.dataclass
class Attack:
    name: str
    layer: str
    what: str
    run: object
    fast: bool       # runs in scripts/test
    long: bool       # runs with --long only
    answer: tuple    # the answers that are right
    grows_mib: int   # that the server may keep afterwards
    pending: str     # why it fails for now; "": it must not
    bridge: str = "" # a worker's type

    @property
    def bridge_name(self):
        """As [bridge.NAME] takes it."""
        return self.name[-31:].strip("-")


ATTACKS = []


def attack(layer, what, answer=GOES_ON, fast=False, long=False, grows_mib=4, pending=""):
    def add(run):
        answers = answer if isinstance(answer, tuple) else (answer,)
        ATTACKS.append(Attack(run.__name__.replace("_", "-"), layer, what, run, fast, long, answers, grows_mib, pending))
        return run
    return add


class Attacker:
    """Where an attack gets the server, its connections and its clock from."""

    def __init__(self, town, seconds, worker=None):
        self.town, self.server, self.seconds, self.worker = town, town.server, seconds, worker
        self.end = time.monotonic() + seconds

    def over(self):
        return time.monotonic() > self.end

    async def pace(self, per_s):
        """Yields so often until the time is over; on a machine that cannot, as often as it can."""
        start, n = time.monotonic(), 0
        while not self.over():
            yield n
            n += 1
            ahead = start + n / per_s - time.monotonic()
            if ahead > 0.002 or n % 16 == 0:
                await asyncio.sleep(max(0, ahead))

    @contextlib.asynccontextmanager
    async def raw(self, **options):
        """A connection on which nothing was sent."""
        async with connection(self.server, http3=False, **options) as peer:
            yield Raw(peer)

    @contextlib.asynccontextmanager
    async def caller(self, room="elsewhere", **options):
        async with session(self.server, room=room, **options) as peer:
            yield peer

    async def told(self, peer, seconds=3):
        """How the server took it: the code that it ended the connection with, or that it did not."""
        with contextlib.suppress(AssertionError):
            await peer.until(lambda: peer.terminated, seconds)
        return f"{peer.terminated.error_code:#x}" if peer.terminated else GOES_ON

    async def alive(self, peer):
        """GOES_ON if the server still answers."""
        try:
            await asyncio.wait_for(peer.ping(), 5)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        return f"{peer.terminated.error_code:#x}" if peer.terminated else GOES_ON


@dataclasses.dataclass
class Verdict:
    problems: list
    answer: str = ""
    join_ms: object = None
    grown_mib: float = 0
    cores: float = 0  # that the server took, victims and all

    def __str__(self):
        return "; ".join(self.problems) or "nothing lost"


class Victims:
    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, HERE / "victims.py", str(port)], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    async def ask(self, command):
        return await off_loop(self._ask, command)

    def _ask(self, command):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"ended": self.process.stderr.read()[-300:]}

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate("end\n", timeout=20)


@dataclasses.dataclass
class Snapshot:
    rss_kib: int
    descriptors: int
    children: int
    ticks_skipped: int
    cpu_s: float


class Town:
    """A server with its victims. `attacks` says which workers its file of settings must name."""

    def __init__(self, attacks, binary=None, bridges=""):
        names = [a for a in attacks if a.bridge]
        limits = "max_connections = 20000\nmax_connections_per_address = 20000\nmax_sessions = 20000\n" if any(a.long for a in attacks) else ""
        self.config = ('[limits]\nconnect_timeout_ms = 3000\n' + limits + PATIENT + bridges +
                       "".join(f'[[room]]\nname = "{a.name}"\nbridge = "{a.bridge_name}"\n' for a in names) + '[[room]]\nname = "*"\n')
        self.binary = binary
        self.server = self.victims = None

    async def start(self):
        self.server = Mynahd(self.config, binary_path=self.binary, env={"OPENAI_API_KEY": KEY})
        await off_loop(self.server.start)
        # symbols of the sanitizers' own: what they hold back is no growth of the server's
        maps = pathlib.Path(f"/proc/{self.server.process.pid}/maps").read_text()
        self.sanitized = "libasan" in maps or b"__asan_init" in pathlib.Path(self.server.command[0]).read_bytes()
        self.victims = Victims(self.server.port)
        await self.victims.ask("join")

    async def stop(self):
        """Insists on a clean end."""
        await off_loop(self.victims.end)
        await off_loop(self.server.stop)
        self.server.dir.cleanup()

    async def again(self):
        """After the server's end."""
        with contextlib.suppress(AssertionError):
            await self.stop()
        await self.start()

    def running(self):
        return self.server.process.poll() is None

    def snapshot(self):
        pid = self.server.process.pid
        children = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += len(pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        skipped = sum(int(v) for k, v in self.server.metrics().items() if k.startswith("mynah_ticks_skipped_total"))
        return Snapshot(self.server.resident_kib(), len(os.listdir(f"/proc/{pid}/fd")), children, skipped, self.cpu_s())

    def cpu_s(self):
        """What it has taken, without its children."""
        fields = pathlib.Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def settled(self, before, grows_mib, seconds=8):
        """What the server holds once it has let go of what it can."""
        end = time.monotonic() + seconds
        while True:
            now = await off_loop(self.snapshot)
            back = (now.descriptors <= before.descriptors and now.children <= before.children and
                    (self.sanitized or now.rss_kib - before.rss_kib <= 1024 * grows_mib))
            if back or time.monotonic() > end:
                return now
            await asyncio.sleep(0.2)

    async def judge(self, attacks, seconds):
        """The attacks, all at once, beside the victims: {name: Verdict}. What the victims lose is laid to all of them."""
        before = await off_loop(self.snapshot)
        await self.victims.ask("report")
        start, mark = time.monotonic(), len(self.server.lines)
        running = [asyncio.ensure_future(self.attempt(a, seconds)) for a in attacks]
        await asyncio.sleep(seconds / 2)
        joined = await self.victims.ask("join")
        answers = await asyncio.gather(*running)
        report, passed = await self.victims.ask("report"), time.monotonic() - start
        problems = self.of_victims(report, joined, passed)
        grown = cores = 0
        if not self.running():
            problems.append("the server has ended")
        else:
            cores = (self.cpu_s() - before.cpu_s) / passed
            after = await self.settled(before, max(a.grows_mib for a in attacks))
            grown = (after.rss_kib - before.rss_kib) / 1024
            problems += self.of_server(before, after, max(a.grows_mib for a in attacks))
        if any(re.search("Sanitizer|runtime error", line) for line in self.server.lines[mark:]):
            problems.append("a report of a sanitizer")
        verdicts = {}
        for a, answer in zip(attacks, answers):
            wrong = [] if str(answer) in map(str, a.answer) else [f"answered {answer}, not {' or '.join(map(str, a.answer))}"]
            verdicts[a.name] = Verdict(problems + wrong, str(answer), joined.get("join_ms"), grown, cores)
        if not self.running():
            await self.again()
        return verdicts

    async def attempt(self, a, seconds):
        try:
            async with asyncio.timeout(seconds + (400 if a.long else 20)):
                return await a.run(Attacker(self, seconds, a))
        except (AssertionError, OSError, TimeoutError, EOFError) as error:
            return f"{type(error).__name__}: {str(error)[:80]}"

    @staticmethod
    def of_victims(report, joined, passed):
        problems = []
        if report.get("ended"):
            return ["a victim's session ended: " + report["ended"]]
        for listener in report["listeners"]:
            for key in "missing", "jumps", "begins":
                if listener[key]:
                    problems.append(f"frames: {listener[key]} {key}")
            if listener["frames"] < passed * 50 * 0.9:
                problems.append(f"frames: {listener['frames']} in {passed:.1f} s")
        if report["streams_lost"]:
            problems.append(f"{report['streams_lost']} control streams lost")
        elif report["lines_lost"]:
            problems.append(f"{report['lines_lost']} lines lost")
        if joined.get("join_ms") is None:
            problems.append(f"no newcomer got in: {joined.get('why')}")
        elif joined["join_ms"] > JOIN_MS:
            problems.append(f"a newcomer waited {joined['join_ms']} ms")
        return problems

    def of_server(self, before, after, grows_mib):
        problems = []
        if after.ticks_skipped > before.ticks_skipped:
            problems.append(f"{after.ticks_skipped - before.ticks_skipped} ticks left out")
        if not self.sanitized and after.rss_kib - before.rss_kib > 1024 * grows_mib:
            problems.append(f"{(after.rss_kib - before.rss_kib) / 1024:.0f} MiB kept")
        if after.descriptors > before.descriptors:
            problems.append(f"{after.descriptors - before.descriptors} descriptors kept")
        if after.children > before.children:
            problems.append(f"{after.children - before.children} children kept")
        return problems

    async def verdicts(self, attacks, seconds, attempts=3):
        """As judge(), tried again where something was lost: a busy machine disturbs calls as well, but not every time.
        Several that lost something together are then tried one by one."""
        found = await self.judge(attacks, seconds)
        for a in attacks:
            for _ in range(attempts - 1):
                if not found[a.name].problems:
                    break
                await asyncio.sleep(0.5)
                found.update(await self.judge([a], seconds))
        return found
