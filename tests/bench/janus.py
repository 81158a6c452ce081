# SPDX-License-Identifier: MIT
"""A room of Janus' AudioBridge with plain RTP participants in PCMU, and ours of the same size, in one run.

$MYNAH_JANUS is "PID PORT" of a Janus that scripts/bench has started: its HTTP interface is on 127.0.0.1:PORT. There is no
ICE, no DTLS and no SRTP in its figure, while ours has all of QUIC in it: what differs in its favour is left in.
"""
import contextlib
import json
import os
import socket
import statistics
import struct
import threading
import time
import urllib.request

PEOPLE, ROOM = 40, 4711
FRAME_BYTES = 160  # 20 ms of PCMU


class Api:
    """One session with a handle for each participant."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/janus"
        self.session = self.post("", janus="create")["data"]["id"]

    def post(self, path, **message):
        data = json.dumps({"transaction": "bench", **message}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, {"content-type": "application/json"}), timeout=10) as answer:
            got = json.load(answer)
        if got["janus"] == "error":
            raise RuntimeError(f"Janus: {got['error']['reason']}")
        return got

    def attach(self):
        return self.post(f"/{self.session}", janus="attach", plugin="janus.plugin.audiobridge")["data"]["id"]

    def ask(self, handle, **body):
        return self.post(f"/{self.session}/{handle}", janus="message", body=body)

    def event(self):
        with urllib.request.urlopen(f"{self.url}/{self.session}?maxev=1", timeout=40) as answer:
            return json.load(answer)

    def join(self, handle, port):
        self.ask(handle, request="join", room=ROOM, display="bench", codec="pcmu",
                 rtp={"ip": "127.0.0.1", "port": port, "payload_type": 0})
        while True:
            got = self.event()
            if got["janus"] == "event" and got.get("sender") == handle:
                data = got["plugindata"]["data"]
                if data.get("audiobridge") == "joined" and "rtp" in data:
                    return data["rtp"]["ip"], data["rtp"]["port"]
                if "error" in data:
                    raise RuntimeError(f"Janus: {data['error']}")


class Callers:
    """Everybody sends a frame each 20 ms and counts what comes back."""

    def __init__(self):
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PEOPLE)]
        for s in self.sockets:
            s.bind(("127.0.0.1", 0))
            s.setblocking(False)
        self.to, self.received, self.stop = [], 0, threading.Event()

    def run(self, cpu):
        os.sched_setaffinity(0, {cpu})
        start, seq = time.monotonic(), 0
        while not self.stop.is_set():
            for i, s in enumerate(self.sockets):
                time.sleep(max(0, start + (seq + i / PEOPLE) * 0.02 - time.monotonic()))
                sound = bytes((0x80 + (k * 7 + i) % 64) for k in range(8)) * (FRAME_BYTES // 8)
                s.sendto(struct.pack(">BBHII", 0x80, 0, seq & 0xFFFF, seq * FRAME_BYTES, i + 1) + sound, self.to[i])
                self.drain(s)
            seq += 1

    def drain(self, s):
        try:
            while True:
                s.recv(2048)
                self.received += 1
        except BlockingIOError:
            pass


def measure_janus(bench, pid, port, seconds):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {bench.SERVER_CPU})
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(task), -15)
    api, callers = Api(port), Callers()
    owner = api.attach()
    api.ask(owner, request="create", room=ROOM, sampling_rate=16000, permanent=False, allow_rtp_participants=True, audiolevel_event=False)
    callers.to = [api.join(api.attach(), s.getsockname()[1]) for s in callers.sockets]
    thread = threading.Thread(target=callers.run, args=(bench.CLIENT_CPU,))
    thread.start()
    try:
        time.sleep(2)
        t, cpu, heard = time.monotonic(), bench.tree_cpu_s(pid)[0], callers.received
        time.sleep(seconds)
        t, cpu, heard = time.monotonic() - t, bench.tree_cpu_s(pid)[0] - cpu, callers.received - heard
    finally:
        callers.stop.set()
        thread.join()
        api.ask(owner, request="destroy", room=ROOM)
        api.post(f"/{api.session}", janus="destroy")
    return {"us": cpu / t / PEOPLE * 1e6, "heard": heard / t / PEOPLE}


def measure_ours(bench, seconds):
    with bench.Daemon() as server:
        got = bench.drive(server, bench.BIN / "caller", "talk", server.port, PEOPLE, seconds, 100, f"room={PEOPLE}")
    return {"us": got["us"], "heard": got["received"] / got["wall"] / PEOPLE}


def measure(bench, quick):
    if not os.environ.get("MYNAH_JANUS"):
        return {"why": "Janus is not to be had here (scripts/fetch-janus says why; Debian 12 has it, Debian 13 has not)"}
    pid, port = os.environ["MYNAH_JANUS"].split()
    rounds = []
    try:
        for _ in range(1 if quick else 3):
            rounds.append((measure_ours(bench, 2 if quick else 3), measure_janus(bench, int(pid), port, 2 if quick else 3)))
    except (OSError, RuntimeError, KeyError) as error:
        return {"why": f"Janus did not do its part: {error}"}
    ratio = statistics.median(a["us"] / b["us"] for a, b in rounds)
    cells = [[f"{statistics.median(r[k][what] for r in rounds):.{digits}f}" for what, digits in (("us", 0), ("heard", 1))] for k in (0, 1)]
    lines = [f"One room of {PEOPLE} at 16 kHz in which everybody talks. Janus 1.1.2 of Debian 12, plain RTP with PCMU at 8 kHz: no codec to speak of, no encryption.", "",
             "| | CPU us per participant and second | datagrams to each a second |", "|---|---|---|",
             "| mynahd | " + " | ".join(cells[0]) + " |", "| Janus AudioBridge | " + " | ".join(cells[1]) + " |"]
    bench.progress(f"Janus: ours is {ratio:.2f} of it")
    return {"ratio": ratio, "lines": lines}
