#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py [--quick] [--write FILE] [ONLY...]: what mynah costs, beside what other servers and the bare kernel cost.

Run by scripts/bench. Servers are pinned to the first processor and clients to the second; servers that are compared
take turns, round by round, and what is compared is the median of the ratios of rounds. CPU is that of the
server's process, read from /proc while the clients say that they measure. Everything goes over 127.0.0.1.
"""
import argparse
import contextlib
import ctypes
import ctypes.util
import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/support"), str(TOP / "tests/bench")]
import gate  # noqa: E402
import mynahd  # noqa: E402

BIN = TOP / "build/bench/bin"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]
NO_LIMITS = """
[private]
bridge = "echo"
[[room]]
name = "*"
max_participants = 10000
[limits]
max_sessions = 20000
max_rooms = 20000
max_connections = 50000
max_connections_per_address = 50000
max_half_open = 5000
max_load_percent = 0
datagram_pool = 16384
"""
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as the service has it
LOSSY = 0.02  # from here on a figure is marked
COLD = (20, 100, 500, 1000)  # sessions whose cost is compared without a kernel
CACHED = (20, 300)  # sessions whose misses are counted
PARTS = ("echo", "rooms", "delay", "capacity", "mixing", "memory", "handshakes", "shards", "instructions", "janus")


# --- the machine --------------------------------------------------------------------------------------------

def calibrate():
    """Milliseconds of CPU for a fixed piece of work on the server's processor: did the machine change meanwhile?"""
    def work():
        data = bytes(1 << 20)
        start = time.thread_time()
        for _ in range(16):
            hashlib.sha256(data)
        spent.append((time.thread_time() - start) * 1000)

    spent = []
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CPU})
    for _ in range(3):
        work()
    os.sched_setaffinity(0, before)
    return min(spent)


def busy_s(cpu):
    """Seconds that a processor was not idle, and those stolen from it."""
    with open("/proc/stat") as f:
        for line in f:
            if line.startswith(f"cpu{cpu} "):
                user, nice, system, _, _, irq, soft, steal = (int(x) / os.sysconf("SC_CLK_TCK") for x in line.split()[1:9])
                return user + nice + system + irq + soft + steal, steal
    return 0.0, 0.0


def tree_cpu_s(pid):
    """Of all threads that live, to the nanosecond, and how much of all was the kernel's, to the tick."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return total * 1e-9, int(fields[11]), int(fields[12])


def rss_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    mem = int(re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M).group(1))
    hypervisor = " (virtual)" if re.search(r"^flags.*\bhypervisor\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M) else ""
    rmem = pathlib.Path("/proc/sys/net/core/rmem_max").read_text().strip()
    return {"processor": (model.group(1) if model else platform.machine()) + hypervisor,
            "cores used": f"{len({SERVER_CPU, CLIENT_CPU})} of {os.cpu_count()}, one for the server and one for the clients",
            "memory": f"{mem / 1048576:.1f} GiB", "kernel": platform.release(), "net.core.rmem_max": rmem}


def library_version(name, function, field):
    """Of the library that would be loaded: the first members of ngtcp2_info and nghttp3_info are alike."""
    class Info(ctypes.Structure):
        _fields_ = [("age", ctypes.c_int), ("num", ctypes.c_int), ("text", ctypes.c_char_p)]

    path = ctypes.util.find_library(name)
    if not path:
        return "?"
    call = getattr(ctypes.CDLL(path), function)
    if field:
        call.restype = ctypes.POINTER(Info)
        return call(0).contents.text.decode()
    call.restype = ctypes.c_char_p
    return call(0).decode() if function == "OpenSSL_version" else call().decode()


def versions():
    text = subprocess.run([BIN / "mynahd", "--version"], capture_output=True, text=True).stdout.strip()
    if os.environ.get("MYNAH_COMMIT"):
        text += f", commit {os.environ['MYNAH_COMMIT']}"
    import aioquic
    found = {"mynah": text, "ngtcp2": library_version("ngtcp2", "ngtcp2_version", True),
             "nghttp3": library_version("nghttp3", "nghttp3_version", True),
             "OpenSSL": library_version("crypto", "OpenSSL_version", False),
             "libuv": library_version("uv", "uv_version_string", False),
             "compiler": subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.split("\n")[0],
             "aioquic": f"{aioquic.__version__}, Python {platform.python_version()}"}
    if os.environ.get("MYNAH_DENO"):
        found["Deno"] = subprocess.run([os.environ["MYNAH_DENO"], "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    return found


# --- servers and clients --------------------------------------------------------------------------------------

# Before the other work of the machine, if we may: a kernel that groups processes by session looks at the group's.
FIRST = ("setsid", "sh", "-c", '{ renice -n -15 -p $$; echo -15 >/proc/$$/autogroup; } >/dev/null 2>&1; exec "$@"', "-")


def take_place(cpu):
    """Of a child, before it becomes another program."""
    os.sched_setaffinity(0, {cpu})


class Server:
    """A process that says "ready PORT" and ends with its standard input."""

    def __init__(self, *command):
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen([*FIRST, *map(str, self.command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=lambda: take_place(SERVER_CPU), stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.__exit__()
            raise RuntimeError(f"{self.command[0]} did not start")
        self.port, self.pid = line[1], self.process.pid
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Daemon:
    """A mynahd without limits that matter here: one shard on the server's processor, or several on all."""

    def __init__(self, shards=1, cpus=(SERVER_CPU,)):
        self.shards, self.cpus = shards, set(cpus)

    def __enter__(self):
        self.daemon = mynahd.Mynahd(NO_LIMITS, server=f'host = "127.0.0.1"\nshards = {self.shards}', binary_path=str(BIN / "mynahd"), env=HUGE_PAGES)
        self.daemon.command[:0] = FIRST
        self.daemon.__enter__()
        self.port, self.pid = str(self.daemon.port), self.daemon.process.pid
        for task in os.listdir(f"/proc/{self.pid}/task"):
            os.sched_setaffinity(int(task), self.cpus)
        return self

    def __exit__(self, *exc):
        self.daemon.__exit__(*exc)


def key_values(line):
    return {k: float(v) if re.fullmatch(r"-?[\d.]+", v) else v for k, _, v in (w.partition("=") for w in line.split())}


def client(*command, cpus=(CLIENT_CPU,)):
    return subprocess.Popen([*FIRST, *map(str, command)], stdout=subprocess.PIPE, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, set(cpus)))


def drive(server, *command, hook=None, cpus=(CLIENT_CPU,)):
    """Runs a client and gives back what it printed, with what the server spent meanwhile."""
    process = client(*command, cpus=cpus)
    guard = threading.Timer(120, process.kill)
    guard.start()
    at, got = {}, {}
    try:
        for line in process.stdout:
            word = line.strip()
            if word in ("measuring", "measured"):
                extra = hook() if hook else None
                at[word] = (time.monotonic(), tree_cpu_s(server.pid), busy_s(SERVER_CPU), rss_kib(server.pid), extra)
            else:
                got = key_values(line)
        process.wait()
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()
    if len(at) < 2 or not got:
        raise RuntimeError(f"{' '.join(map(str, command))}: the client ended early")
    (t0, (cpu0, user0, sys0), (busy0, steal0), rss0, hook0), (t1, (cpu1, user1, sys1), (busy1, steal1), rss1, hook1) = \
        at["measuring"], at["measured"]
    wall, cpu = t1 - t0, cpu1 - cpu0
    ticks = user1 - user0 + sys1 - sys0
    got.update(wall=wall, cpu=cpu, core=cpu / wall, rss=rss1, hooks=(hook0, hook1), kernel=(sys1 - sys0) / ticks if ticks else 0,
               others=max(0.0, busy1 - busy0 - cpu) / wall, steal=(steal1 - steal0) / wall)
    if got["sessions"]:
        got["us"] = cpu / wall / got["sessions"] * 1e6
    if got.get("expected"):
        # of a session that never opened everything is lost
        got["loss"] = 1 - got["heard"] / got["expected"] * got["opened"] / got["sessions"]
    notes["others"].append(got["others"])
    notes["steal"].append(got["steal"])
    return got


notes = {"others": [], "steal": []}


def wait_until_empty(daemon, seconds=20):
    until = time.monotonic() + seconds
    while daemon.daemon.metrics().get("mynah_connections", 0) > 0 and time.monotonic() < until:
        time.sleep(0.1)


def progress(text):
    print(f"  {time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


# --- parts ------------------------------------------------------------------------------------------------------

def echo_servers():
    servers = {"floor": lambda: Server(BIN / "floor", "server"), "sealed": lambda: Server(BIN / "floor", "server", "aead"),
               "transport": lambda: Server("env", *(f"{k}={v}" for k, v in HUGE_PAGES.items()), BIN / "echo"), "mynahd": Daemon,
               "aioquic": lambda: Server(sys.executable, TOP / "tests/bench/peer_aioquic.py")}
    if os.environ.get("MYNAH_DENO"):
        cert = pathlib.Path(scratch.name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10",
                        "-subj", "/CN=localhost", "-keyout", cert / "key.pem", "-out", cert / "cert.pem"], check=True, capture_output=True)
        servers["Deno"] = lambda: Server(os.environ["MYNAH_DENO"], "run", "--allow-all", "--unstable-net",
                                         TOP / "tests/bench/peer_deno.mjs", cert / "cert.pem", cert / "key.pem")
    return servers


def measure_echo(name, start, n, seconds):
    with start() as server:
        if name in ("floor", "sealed"):
            return drive(server, BIN / "floor", "client", server.port, n, seconds)
        classic = ["classic"] if name == "aioquic" else []
        return drive(server, BIN / "caller", "talk", server.port, n, seconds, min(1000, max(50, n)) if name != "aioquic" else 50, *classic)


def part_echo(quick):
    """{n: {server: [round, ...]}}; a round of a server that failed is None."""
    servers = echo_servers()
    ours = [s for s in servers if s not in ("aioquic", "Deno")]
    sizes = {1: 1, 50: 1, 100: 1, 1000: 1} if quick else {1: 1, 10: 1, 100: 3, 500: 1, 1000: 3, 2000: 1}
    more = {"aioquic": {50} if quick else {10, 100}, "Deno": {100} if quick else {10, 100}}
    seconds = 1 if quick else 2
    results, calibrations = {}, []
    for n, rounds in sizes.items():
        results[n] = {}
        for i in range(rounds):
            calibrations.append(calibrate())
            for name in ours + [p for p in more if p in servers and n in more[p]]:
                if name == "floor" and i > 0:
                    continue
                try:
                    got = measure_echo(name, servers[name], n, seconds)
                except (RuntimeError, OSError) as error:
                    progress(f"{name}: {error}")
                    got = None
                results[n].setdefault(name, []).append(got)
        calibrations.append(calibrate())
        progress(f"echo, {n} sessions: " + ", ".join(f"{k} {median(v, 'us'):.0f}" for k, v in results[n].items() if any(v)) + " us")
    return {"sizes": results, "calibrations": calibrations}


def part_rooms(quick):
    rows = []
    kinds = [(2, 2), (4, 4), (4, 1), (50, 3)] if quick else [(2, 2), (4, 4), (4, 1), (50, 50), (50, 3)]
    for n in ([100] if quick else [100, 1000]):
        for size, talkers in kinds:
            with Daemon() as server:
                got = drive(server, BIN / "caller", "talk", server.port, n, 1 if quick else 2, min(1000, n), f"room={size}", f"talkers={talkers}")
            rows.append((n, size, talkers, got))
        progress(f"rooms, {n} sessions")
    return rows


def part_delay(quick):
    """Delay and tick lateness while the server is busy, beside a bare timer on the same core."""
    out = {}
    timer = subprocess.run([*FIRST, BIN / "floor", "timer", "1" if quick else "4"], capture_output=True, text=True, check=True,
                           preexec_fn=lambda: take_place(SERVER_CPU))
    out["timer"] = key_values(timer.stdout)
    rows = []
    for n in ([100] if quick else [100, 1000]):
        with Daemon() as server:
            got = drive(server, BIN / "caller", "talk", server.port, n, 1 if quick else 4, min(1000, n), hook=server.daemon.metrics)
        got["ticks"] = lateness(*got["hooks"])
        rows.append((n, got))
        progress(f"delay, {n} echo sessions: p99 {got['delay_p99_ms']:.1f} ms")
    out["echo"] = rows
    out["rooms"] = []
    for n in ([100] if quick else [100, 1000]):
        with Daemon() as server:
            process = client(BIN / "mynah", "load", f"https://127.0.0.1:{server.port}/audio", "--insecure", "--sessions", n, "--rooms", n // 4,
                             "--talkers", "0.25", "--ramp", min(n, 500), "--seconds", 1 if quick else 5, "--json", "--quiet", "--server-pid", server.pid)
            text = process.communicate(timeout=120)[0]
        out["rooms"].append((n, json.loads(text)))
    return out


def lateness(before, after):
    """[(bound in ms, share of ticks that were not later)]"""
    rows = []
    total = after["mynah_tick_late_seconds_count"] - before["mynah_tick_late_seconds_count"]
    for name, value in after.items():
        bound = re.fullmatch(r'mynah_tick_late_seconds_bucket\{le="([\d.e+-]+)"\}', name)
        if bound:
            rows.append((float(bound.group(1)) * 1000, (value - before[name]) / max(total, 1)))
    return rows


def part_capacity(quick):
    """The most echo sessions on one core of which none lost a frame."""
    rows, servers = [], echo_servers()
    for n in ([500] if quick else [2000, 2500]):
        for name, start in ((k, servers[k]) for k in ("transport", "mynahd")):
            got = measure_echo(name, start, n, 1 if quick else 3)
            rows.append((n, name, got))
            progress(f"capacity, {name} {n}: loss {got['loss'] * 100:.3f} %, {got['core'] * 100:.0f} % of a core")
    return rows


def part_mixing(quick):
    run = subprocess.run([*FIRST, BIN / "mix", "1" if quick else "4"], capture_output=True, text=True, check=True,
                         preexec_fn=lambda: take_place(SERVER_CPU))
    progress("mixing")
    return [key_values(line) for line in run.stdout.splitlines()]


def part_memory(quick):
    n = 100 if quick else 1000
    out = {"n": n}
    for what, mode in (("idle", "sit"), ("talking", "talk")):
        for kind, room in (("rooms of 4", ["room=4"]), ("alone with a bridge", [])):
            with Daemon() as server:
                before = rss_kib(server.pid)
                got = drive(server, BIN / "caller", mode, server.port, n, 1 if quick else 4, min(n, 500), *room)
                out[what, kind] = (got["rss"] - before) / got["opened"]
    with Daemon() as server:
        visits = 300 if quick else 2000
        before = rss_kib(server.pid)
        drive(server, BIN / "caller", "visit", server.port, visits, 16)
        wait_until_empty(server)
        warm = rss_kib(server.pid)
        drive(server, BIN / "caller", "visit", server.port, 5 * visits, 16)
        wait_until_empty(server)
        out["visits"] = {"first": visits, "then": 5 * visits, "before": before, "warm": warm, "after": rss_kib(server.pid)}
    progress("memory")
    return out


def part_handshakes(quick):
    out = {"X25519": [], "X25519MLKEM768": [], "aioquic": []}
    visits = 200 if quick else 2000
    for _ in range(1 if quick else 3):
        for name, more in (("X25519", ["classic"]), ("X25519MLKEM768", [])):
            with Daemon() as server:
                out[name].append(drive(server, BIN / "caller", "visit", server.port, visits, 8, *more))
    with Server(sys.executable, TOP / "tests/bench/peer_aioquic.py") as server:
        out["aioquic"].append(drive(server, BIN / "caller", "visit", server.port, 100 if quick else 500, 8, "classic"))
    progress("handshakes: " + ", ".join(f"{k} {rate(v):.0f}" for k, v in out.items()) + " per CPU-second")
    return out


def part_shards(quick):
    """The same sessions on one shard and on two, with both processors for everybody."""
    rows = []
    kinds = [("echo", 100, []), ("rooms of 4, one talker", 100, ["room=4", "talkers=1"])] if quick else \
        [("echo", 1000, []), ("rooms of 4, one talker", 1000, ["room=4", "talkers=1"])]
    for what, n, more in kinds:
        for shards in (1, 2):
            with Daemon(shards, CPUS) as server:
                got = drive(server, BIN / "caller", "talk", server.port, n, 1 if quick else 3, min(1000, n), *more,
                            hook=server.daemon.metrics, cpus=CPUS)
            before, after = got["hooks"]
            passed = after["mynah_packets_forwarded_total"] - before["mynah_packets_forwarded_total"]
            got["forwarded"] = passed / max(1, after["mynah_packets_in_total"] - before["mynah_packets_in_total"])
            rows.append((what, n, shards, got))
            progress(f"shards, {what}, {n} sessions on {shards}: {got['us']:.0f} us")
    return rows


def part_instructions(quick):
    found = {}
    for what in ("pairs", "echo", "handshake", "mlkem"):
        if shutil.which("valgrind"):
            found[what] = gate.measure(TOP / "build/bench", what)
    found["misses"] = {n: gate.misses(TOP / "build/bench", "echo", n) for n in (() if quick or not shutil.which("valgrind") else CACHED)}
    found["cold"] = {}
    for n in COLD[:2] if quick else COLD:
        run = subprocess.run([*FIRST, BIN / "gate", "echo", str(n), "2"], capture_output=True, text=True, check=True,
                             preexec_fn=lambda: take_place(SERVER_CPU))
        got = key_values(" ".join(run.stdout.split()))
        found["cold"][n] = got["cpu_us"] / got["in"]
    progress("instructions")
    return found


def part_janus(quick):
    import janus
    return janus.measure(sys.modules[__name__], quick)


# --- figures ----------------------------------------------------------------------------------------------------

def median(rounds, key):
    values = [r[key] for r in rounds if r]
    return statistics.median(values) if values else float("nan")


def ratio(results, n, above, below):
    """Median of the ratios of rounds, or None."""
    pairs = [(a["us"], b["us"]) for a, b in zip(results.get(n, {}).get(above, []), results.get(n, {}).get(below, [])) if a and b]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def rate(rounds):
    return statistics.median(r["opened"] / r["cpu"] for r in rounds)


class Goal:
    def __init__(self, text, result, ok, note=""):
        self.text, self.result, self.ok, self.note = text, result, ok, note

    def row(self):
        verdict = "?" if self.ok is None else "yes" if self.ok else "**no**"
        return f"| {self.text} | {self.result} | {verdict} | {self.note} |"


def at_most(text, value, bound, form="{:.2f}", note=""):
    return Goal(text, "not measured" if value is None else form.format(value), None if value is None else value <= bound, note)


def at_least(text, value, bound, form="{:.1f}", note=""):
    return Goal(text, "not measured" if value is None else form.format(value), None if value is None else value >= bound, note)


def goals(r):
    found = []
    if "echo" in r:
        sizes = r["echo"]["sizes"]
        for n, bound in ((100, 1.5), (1000, 1.75)):
            for name, text in (("mynahd", "echo session of mynahd"), ("transport", "the transport alone")):
                found.append(at_most(f"{text} at {n}, CPU: at most {bound} times the floor", ratio(sizes, n, name, "sealed"), bound,
                                     "{:.2f} times"))
        for n in (10, 100):
            value = ratio(sizes, n, "aioquic", "mynahd")
            loss = max((x["loss"] for x in sizes.get(n, {}).get("aioquic", []) if x), default=0)
            found.append(at_least(f"{n} echo sessions: at least 15 times less CPU than aioquic", value, 15, "{:.1f} times",
                                  f"aioquic lost up to {loss * 100:.1f} % of its frames there" if loss > 0.005 else ""))
        found.append(at_least("100 echo sessions: at least 5 times less CPU than Deno (quinn)", ratio(sizes, 100, "Deno", "mynahd"), 5, "{:.1f} times",
                              "" if os.environ.get("MYNAH_DENO") else "Deno was not to be had"))
    if "capacity" in r:
        for name in ("mynahd", "transport"):
            rows = [(n, got) for n, who, got in r["capacity"] if who == name]
            whole = max((n for n, got in rows if got["loss"] == 0 and got["opened"] == n and not got["lost"]), default=0)
            most = max(n for n, _ in rows)
            worst = next(got["loss"] for n, got in rows if n == most)
            found.append(Goal("at least 2500 echo sessions on one core without loss" + (", the transport alone" if name == "transport" else ""),
                              f"{whole or 'none of the steps tried'}" + (f"; at {most} {worst * 100:.2f} % of the frames" if whole < most else ""), whole >= 2500 if most >= 2500 else None))
    if "janus" in r:
        j = r["janus"]
        found.append(at_most("mixing room of 40: at most a quarter of Janus AudioBridge's CPU (PCMU, plain RTP)", j.get("ratio"), 0.25, "{:.2f} of it",
                             j.get("why", "")))
    if r.get("instructions", {}).get("pairs"):
        for what, text in (("pairs", "rooms of two"), ("echo", "alone with the echo")):
            found.append(at_most(f"user instructions for each pair of packets, {text}: at most 14,000", r["instructions"][what].total, 14000, "{:.0f}"))
    if "memory" in r:
        for what, bound in (("idle", 75), ("talking", 130)):
            found.append(at_most(f"resident for each {what} session: at most {bound} KB", r["memory"][what, "rooms of 4"] * 1.024, bound, "{:.0f} KB",
                                 f"{r['memory'][what, 'alone with a bridge'] * 1.024:.0f} KB if everybody is alone with a bridge"))
    if "handshakes" in r:
        for name in ("X25519", "X25519MLKEM768"):
            found.append(at_least(f"full handshakes for each CPU-second, {name}: at least 2500", rate(r["handshakes"][name]), 2500, "{:.0f}",
                                  "with the session's CONNECT and its end"))
    if "delay" in r:
        rows = [got["delay_p99_ms"] for n, got in r["delay"]["echo"] if n == 1000]
        found.append(at_most("p99 of the delay added by a server with 1000 echo sessions on one core: at most one frame + 3 ms",
                             statistics.median(rows) if rows else None, 23, "{:.1f} ms"))
        rooms = [got for n, got in r["delay"]["rooms"] if n == 1000]
        found.append(at_most("the same in 250 rooms of 4 with one talker each", rooms[0]["delay_ms"]["p99"] if rooms else None, 23, "{:.1f} ms"))
    return found


def table(header, rows):
    yield "| " + " | ".join(map(str, header)) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(str(x) for x in row) + " |"
    yield ""


NAMES = {"floor": "bare UDP", "sealed": "the floor: UDP + AES-GCM", "transport": "our transport alone", "mynahd": "mynahd, echo rooms",
         "aioquic": "aioquic", "Deno": "Deno (quinn)"}


def show_echo(r):
    sizes = r["sizes"]
    columns = [c for c in NAMES if any(c in v for v in sizes.values())]

    def cell(rounds, key, form):
        values = [x[key] for x in rounds or [] if x]
        if not values:
            return "–"
        text = form.format(statistics.median(values))
        if key == "us" and max(x["loss"] for x in rounds if x) > LOSSY:
            text += " †"
        return text if len(values) < 3 else f"{text} ({form.format(min(values))}–{form.format(max(values))})"

    yield "Microseconds of CPU for one session and one second (50 datagrams of 642 bytes each way). Median, and least to most of the rounds."
    yield ""
    yield from table(["sessions"] + [NAMES[c] for c in columns], [[n] + [cell(v.get(c), "us", "{:.0f}") for c in columns] for n, v in sizes.items()])
    yield f"† In a round more than {LOSSY * 100:.0f} % of the frames did not come back: what a server that is overloaded costs says little."
    yield ""
    yield "Delay of the echo, p50 / p99 in ms. A mixing server holds a frame for the next tick; an echo of datagrams does not."
    yield ""
    yield from table(["sessions"] + [NAMES[c] for c in columns],
                     [[n] + [f"{cell(v[c][:1], 'delay_p50_ms', '{:.2f}')} / {cell(v[c][:1], 'delay_p99_ms', '{:.2f}')}" if c in v else "–" for c in columns]
                      for n, v in sizes.items()])
    yield "Frames that did not come back, percent (worst round):"
    yield ""
    yield from table(["sessions"] + [NAMES[c] for c in columns],
                     [[n] + [f"{max((x['loss'] for x in v[c] if x), default=1) * 100:.2f}" if c in v else "–" for c in columns] for n, v in sizes.items()])
    yield "Share of that CPU spent in the kernel: " + ", ".join(
        f"{NAMES[c]} {median(sizes[1000][c], 'kernel') * 100:.0f} %" for c in columns if c in sizes.get(1000, {})) + " (1000 sessions)."
    yield ""


def show_rooms(rows):
    yield from table(["sessions", "room of", "talkers in it", "CPU us per session and second", "of a core", "datagrams out per listener and second"],
                     [(n, size, talkers, f"{got['us']:.0f}", f"{got['core'] * 100:.0f} %", f"{got['received'] / got['wall'] / n:.1f}")
                      for n, size, talkers, got in rows])


def show_delay(r):
    t = r["timer"]
    yield (f"A bare timer of 1 ms on the server's core is late by p50 {t['late_p50_ms']:.2f}, p99 {t['late_p99_ms']:.2f}, "
           f"p99.9 {t['late_p999_ms']:.2f}, at most {t['late_max_ms']:.2f} ms on this machine.")
    yield ""
    bounds = [b for b, _ in r["echo"][0][1]["ticks"]]
    yield "Echo sessions that talk all the time; from a frame's sending to the arrival of the sound, and how many ticks were at most so late:"
    yield ""
    yield from table(["sessions", "delay p50", "delay p99", "client late p99"] + [f"≤ {b:g} ms" for b in bounds],
                     [[n, f"{got['delay_p50_ms']:.1f} ms", f"{got['delay_p99_ms']:.1f} ms", f"{got['late_p99_ms']:.1f} ms"]
                      + [f"{share * 100:.2f} %" for _, share in got["ticks"]] for n, got in r["echo"]])
    yield "Rooms of 4 with one talker, person to person:"
    yield ""
    yield from table(["sessions", "delay p50", "p99", "p99.9", "marks lost", "from another room"],
                     [[n] + [f"{got['delay_ms'][p]:.1f} ms" for p in ("p50", "p99", "p999")] + [f"{got['loss_percent']:.3f} %", got["wrong_room"]]
                      for n, got in r["rooms"]])


def show_capacity(rows):
    yield from table(["sessions", "server", "frames lost", "sessions lost", "of a core", "delay p50 / p99", "client late p99"],
                     [(n, NAMES[name], f"{got['loss'] * 100:.3f} %", f"{got['failed'] + got['lost']:.0f}", f"{got['core'] * 100:.0f} %",
                       f"{got['delay_p50_ms']:.1f} / {got['delay_p99_ms']:.1f} ms", f"{got['late_p99_ms']:.1f} ms") for n, name, got in rows])


def show_mixing(rows):
    yield "Rooms without a network, in virtual time: CPU us per participant and second, buffer, mix and limiter together."
    yield ""
    yield from table(["room of", "talkers", "people at", "room at", "us"],
                     [(f"{x['size']:.0f}", f"{x['talkers']:.0f}", f"{x['rate_hz']:.0f}", f"{x['room_hz']:.0f}", f"{x['us_per_session_s']:.1f}")
                      for x in rows if x["what"] == "room"])
    yield "The resampler alone, us of CPU for a second of sound:"
    yield ""
    yield from table(["from", "to", "us"], [(f"{x['from']:.0f}", f"{x['to']:.0f}", f"{x['us_per_s']:.0f}") for x in rows if x["what"] == "resample"])


def show_memory(m):
    yield from table(["each of " + str(m["n"]) + " sessions", "idle", "talking"],
                     [(kind, *(f"{m[what, kind] * 1.024:.1f} KB" for what in ("idle", "talking"))) for kind in ("rooms of 4", "alone with a bridge")])
    v = m["visits"]
    yield (f"A daemon of {v['before'] / 1024:.1f} MiB has {v['warm'] / 1024:.1f} MiB after {v['first']} joins and leaves and "
           f"{v['after'] / 1024:.1f} MiB after {v['then']} more: {(v['after'] - v['warm']) * 1024 / v['then']:.1f} bytes each.")
    yield ""


def show_handshakes(h):
    yield "Full handshakes with a P-256 certificate, the session's CONNECT and its end, eight at a time:"
    yield ""
    names = {"X25519": "mynahd, X25519", "X25519MLKEM768": "mynahd, X25519MLKEM768", "aioquic": "aioquic, X25519"}
    yield from table(["", "for each CPU-second", "CPU us each", "in the kernel"],
                     [(names[k], f"{rate(v):.0f}", f"{1e6 / rate(v):.0f}", f"{median(v, 'kernel') * 100:.0f} %") for k, v in h.items()])


def show_shards(rows):
    yield (f"The server and the load client have {len(CPUS)} processors together, so the client takes from the server what it needs: what can be compared is the "
           "cost of a session, and who is late. A session whose connection was accepted by another shard than its room's has its packets handed on.")
    yield ""
    yield from table(["", "sessions", "shards", "CPU us per session and second", "of a core", "packets handed on", "frames lost", "delay p50 / p99", "client late p99"],
                     [(what, n, shards, f"{got['us']:.0f}", f"{got['core'] * 100:.0f} %", f"{got['forwarded'] * 100:.0f} %",
                       f"{got['loss'] * 100:.3f} %" if what == "echo" else "–",
                       f"{got['delay_p50_ms']:.1f} / {got['delay_p99_ms']:.1f} ms" if what == "echo" else "–",
                       f"{got['late_p99_ms']:.1f} ms") for what, n, shards, got in rows])


def show_instructions(found):
    cold, misses = found["cold"], found["misses"]
    found = {k: v for k, v in found.items() if k not in ("cold", "misses")}
    yield "CPU us for a pair in the shard alone, without sockets, everybody alone with the echo (clients in the same process): the same instructions, colder caches."
    yield ""
    yield from table(["sessions", *cold], [["us", *(f"{us:.2f}" for us in cold.values())]])
    if not found:
        yield "No valgrind, no counts of instructions."
        return
    yield "User instructions by callgrind, the server's alone, for one datagram in and one out (a handshake, with X25519 or as browsers do with X25519MLKEM768: for one visit). Its processor has neither AVX-512 nor VAES, so OpenSSL is overstated."
    yield ""
    layers = sorted({o for m in found.values() for o in m.by_object}, key=lambda o: -found["pairs"].by_object[o])
    yield from table([""] + list(found), [["all"] + [f"{m.total:,.0f}" for m in found.values()]]
                     + [[o] + [f"{m.per_unit(m.by_object[o]):,.0f}" for m in found.values()] for o in layers])
    if misses:
        yield "Lines of memory (64 bytes) for each pair that a second-level cache of 1 MB did not hold, simulated by callgrind, everybody alone with the echo:"
        yield ""
        layers = sorted(set().union(*misses.values()), key=lambda o: -misses[max(misses)].get(o, 0))
        yield from table(["sessions"] + [f"{n}" for n in misses], [["all"] + [f"{sum(m.values()):.0f}" for m in misses.values()]]
                         + [[o] + [f"{m.get(o, 0):.0f}" for m in misses.values()] for o in layers if misses[max(misses)].get(o, 0) >= 0.5])
    yield "Of our own code, for rooms of two:"
    yield ""
    m = found["pairs"]
    yield from table(["file", "instructions"], [(f, f"{m.per_unit(n):,.0f}") for f, n in m.by_file.most_common(10)])


def show_janus(j):
    if "ratio" not in j:
        yield f"Not measured: {j['why']}."
    else:
        yield from j["lines"]
    yield ""


TITLES = {"echo": "Echo: transport, daemon, floors, peers", "rooms": "Rooms", "delay": "Delay and lateness of ticks", "capacity": "How many on one core",
          "mixing": "Mixing and resampling", "memory": "Memory", "handshakes": "Handshakes", "shards": "Two shards", "instructions": "Instructions", "janus": "Janus AudioBridge"}


def why_floor(r):
    cold = r["instructions"]["cold"]
    m, sizes = r["instructions"]["echo"], r["echo"]["sizes"]
    n = max(k for k in sizes if k <= 1000)
    user, floor_user = (median(sizes[n][k], "us") * (1 - median(sizes[n][k], "kernel")) / 50 for k in ("transport", "sealed"))
    kernel, floor_kernel = (median(sizes[n][k], "us") * median(sizes[n][k], "kernel") / 50 for k in ("transport", "sealed"))
    per = {o: m.per_unit(k) for o, k in m.by_object.items()}
    return (f"**The floor.** An echo of the transport alone at {n} sessions takes {user:.1f} us in user space where the floor takes {floor_user:.1f}, and "
            f"{kernel:.1f} us in the kernel where the floor takes {floor_kernel:.1f} (split by the clock tick, so rough). In instructions: OpenSSL "
            f"{per.get('openssl', 0):,.0f}, ngtcp2 with its crypto helper {per.get('ngtcp2', 0) + per.get('ngtcp2_crypto', 0):,.0f}, the C library "
            f"{per.get('libc', 0):,.0f}; all of our own code, rooms and sound included, {per.get('own', 0):,.0f}. The floor keeps no state, while a "
            "session's is tens of KB in many blocks, which many sessions push out of the caches between two packets: without any kernel, the same "
            "instructions take " + ", ".join(f"{us:.1f} us a pair with {k} sessions" for k, us in cold.items()) + "." + why_misses(r["instructions"]["misses"]))


def why_misses(misses):
    if not misses:
        return ""
    n = max(misses)
    ours = misses[n].get("own", 0)
    return (f" With {n} sessions a pair waits for {sum(misses[n].values()):.0f} lines of memory that were pushed out, with {min(misses)} for "
            f"{sum(misses[min(misses)].values()):.0f}; {ours:.0f} of the {sum(misses[n].values()):.0f} are touched by our own code, sound included, the others inside the libraries.")


def why_peers(r):
    sizes, parts = r["echo"]["sizes"], []
    for n in (10, 100):
        for peer in ("aioquic", "Deno"):
            value = ratio(sizes, n, peer, "sealed") if n in sizes else None
            if value:
                parts.append(f"{value:.1f} times less than {NAMES[peer]} at {n} sessions")
    return ("**Peers.** The floor itself, which keeps no connection and answers every packet as it comes, takes " + ", ".join(parts)
            + " on this machine: most of what few sessions cost is waking up and the kernel, for everybody alike. We wake up less often "
            "than the floor does, so we may come below it.")


def why_instructions(r):
    m = r["instructions"]["pairs"]
    per = {o: m.per_unit(k) for o, k in m.by_object.items()}
    libraries = sum(n for o, n in per.items() if o != "own")
    return (f"**Instructions.** The libraries alone take {libraries:,.0f} for a pair (OpenSSL {per.get('openssl', 0):,.0f} in callgrind's processor, ngtcp2 "
            f"{per.get('ngtcp2', 0):,.0f}); our own code, sound included, adds {per.get('own', 0):,.0f}.")


def why_janus(r):
    mixing = [x["us_per_session_s"] for x in r.get("mixing", []) if x.get("size") == 40 and x.get("talkers") == 40]
    return ("**Janus.** " + (f"Of our figure {mixing[0]:.0f} us are buffers, mix and limiter (table below). " if mixing else "")
            + "The rest is QUIC and waking up for few packets at a time, which Janus' plain RTP, without encryption, does not have.")


def why_handshakes(r):
    m = r["instructions"]["handshake"]
    return (f"**Handshakes.** {m.by_object['openssl'] / sum(m.by_object.values()) * 100:.0f} % of a visit's {m.total / 1e6:.1f} million instructions are OpenSSL's; "
            "X25519MLKEM768, which browsers prefer, adds a key exchange and a packet each way.")


def why_full(r):
    rows = [(n, got["core"], got["late_p99_ms"]) for n, who, got in r["capacity"] if who == "mynahd"] if "capacity" in r else []
    return "**Capacity and delay.** A core is full: " + "; ".join(
        f"at {n} sessions mynahd had {core * 100:.0f} % of it (client late by p99 {late:.1f} ms)" for n, core, late in rows) + "."


def missed(found, r):
    """What profiles say of goals that were not met."""
    reasons = ((("times the floor",), ("echo", "instructions"), why_floor), (("less CPU than",), ("echo",), why_peers), (("user instructions",), ("instructions",), why_instructions),
               (("Janus",), ("janus",), why_janus), (("handshakes",), ("instructions",), why_handshakes),
               (("without loss", "p99 of the delay"), ("capacity",), why_full))
    texts = [g.text for g in found if g.ok is False]
    for words, needed, why in reasons:
        if any(w in t for w in words for t in texts) and all(r.get(part) for part in needed) and ("instructions" not in needed or "pairs" in r["instructions"]):
            yield f"- {why(r)}"
    yield ""


def document(r, quick, took):
    found = goals(r)
    yield "# Performance"
    yield ""
    yield "Written by `scripts/bench`; nothing in here is edited by hand. Every goal is a ratio, or a count, within this one run."
    yield ""
    if quick:
        yield "**This was `scripts/bench --quick`: short runs that show that the programs work, and no more.**"
        yield ""
    yield from ["| goal | this run | met | |", "|---|---|---|---|"] + [g.row() for g in found] + [""]
    if any(g.ok is False for g in found):
        yield "Why those that were missed were missed:"
        yield ""
        yield from missed(found, r)
    if notes["others"] and statistics.median(notes["others"]) > 0.05:
        yield "**The machine had other work to do during this run**, see below: times are rough, and what needs a whole core to itself could not have it."
        yield ""
    yield "## The run"
    yield ""
    facts = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), **machine(), **versions(), "took": f"{took:.0f} s"}
    cal = r.get("echo", {}).get("calibrations", [])
    if cal:
        facts["a fixed loop, before and after rounds"] = f"{min(cal):.1f} to {max(cal):.1f} ms of CPU, median {statistics.median(cal):.1f}"
    if notes["others"]:
        facts["others on the server's core while it was measured"] = (f"median {statistics.median(notes['others']) * 100:.0f} %, at most "
                                                                        f"{max(notes['others']) * 100:.0f} %; stolen by the host at most {max(notes['steal']) * 100:.1f} %")
    yield from table(["", ""], facts.items())
    for part in PARTS:
        if part in r:
            yield f"## {TITLES[part]}"
            yield ""
            yield from show[part](r[part])
    yield "## How it is measured, and again"
    yield ""
    yield "`scripts/bench` prints and writes this page in under ten minutes on two cores; `--quick` in about one. Parts by name: `scripts/bench echo memory`."
    yield ""
    yield from METHOD


METHOD = """\
- The server has the first core and one shard, all clients the second (except in "Two shards"); 127.0.0.1 only, so sending includes the kernel's delivery to the receiver. Costs are those of the
  server's process alone (`/proc/PID/task/*/schedstat`).
- Servers that are compared take turns within a round; a ratio is the median over rounds of the ratios within each.
- All echo servers get the same audio in the same pattern from the same client: frames on a grid of 0.5 ms, whatever comes back, with late sending counted.
  The floors get packets of the same size, at the same moments.
- The floor is a UDP echo with `recvmmsg` and `sendmmsg` which opens and seals each packet with AES-128-GCM once. It has no acknowledgements, timers, or state.
- A frame is lost if its mark (a number in the sound itself) has not come back half a second after the end.
- mynahd and our transport have their heap in huge pages, as the service has it (packaging/mynahd.service).
- Servers and clients go before the other processes of the machine where that is allowed.
- `others` above says how much else ran on the server's core: figures of a busy machine are to be read as ratios.
""".splitlines()

show = {"echo": show_echo, "rooms": show_rooms, "delay": show_delay, "capacity": show_capacity, "mixing": show_mixing, "memory": show_memory,
        "handshakes": show_handshakes, "shards": show_shards, "instructions": show_instructions, "janus": show_janus}


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--quick", action="store_true", help="about a minute, to see that all works; the figures mean little")
    args.add_argument("--write", metavar="FILE", help="write the page there, too")
    args.add_argument("parts", nargs="*", metavar="PART", help="of " + ", ".join(PARTS))
    args = args.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        sys.exit(f"bench.py: what is {', '.join(sorted(unknown))}? ({', '.join(PARTS)})")
    if len(CPUS) < 2:
        print("bench.py: one processor only: server and clients share it, ratios alone count", file=sys.stderr)
    r = {}
    for part in args.parts or PARTS:
        r[part] = globals()[f"part_{part}"](args.quick)
    lines = list(document(r, args.quick, time.monotonic() - STARTED))
    print("\n".join(lines))
    if args.write:
        pathlib.Path(args.write).write_text("\n".join(lines).rstrip() + "\n")


STARTED = time.monotonic()
scratch = tempfile.TemporaryDirectory(prefix="mynah-bench-")

if __name__ == "__main__":
    main()
