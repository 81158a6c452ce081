#!/usr/bin/env python3
"""gate.py [--build DIR] [--record] [WHAT...]: instructions of the shard for each packet pair, by callgrind.

A pair is one datagram in and one out; for "handshake" and "mlkem" read visit, for "noise" and "crumbs" first packet, for "idle" second
of a session, for "relay" message to a hundred. Without arguments everything is measured and printed, split by library and by our own
files. --record writes tests/bench/gate.txt.
"""
import argparse
import collections
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
RECORD = TOP / "tests" / "bench" / "gate.txt"
SESSIONS, SECONDS, IDLE_SECONDS, RELAY_SECONDS = 20, 4, 40, 1
WHATS = ("pairs", "echo", "drift", "resample", "idle", "crowd", "relay", "handshake", "mlkem", "noise", "crumbs")


class Measured:
    """What one run of `gate` printed (counts) and how many instructions went where."""

    def __init__(self, counts, by_object, by_file):
        self.counts, self.by_object, self.by_file = counts, by_object, by_file
        self.units = {"idle": SESSIONS * IDLE_SECONDS, "handshake": counts["handshakes"], "mlkem": counts["handshakes"],
                      "relay": counts["messages"], "noise": counts["packets_in"],
                      "crumbs": counts["packets_in"]}.get(counts["what"], counts["in"])

    def per_unit(self, instructions):
        return instructions / max(self.units, 1)

    @property
    def total(self):
        return self.per_unit(sum(self.by_object.values()))

    @property
    def own(self):
        return self.per_unit(self.by_object["own"])

    @property
    def gated(self):
        """Without OpenSSL and the C library, which choose their code by the processor they find."""
        return self.per_unit(sum(n for o, n in self.by_object.items() if o not in ("openssl", "libc")))

    def lines(self, files=15):
        name = self.counts["what"]
        yield f"{name}: {self.total:.0f} instructions, of these gated {self.gated:.0f}"
        for o, n in sorted(self.by_object.items(), key=lambda kv: -kv[1]):
            yield f"    {self.per_unit(n):8.0f}  {o}"
        for f, n in sorted(self.by_file.items(), key=lambda kv: -kv[1])[:files]:
            yield f"      {self.per_unit(n):8.0f}  {f}"


def layer_of(obj, gate):
    name = os.path.basename(obj)
    if name == gate:
        return "own"
    for start, layer in (("libcrypto", "openssl"), ("libssl", "openssl"), ("libngtcp2_crypto", "ngtcp2_crypto"),
                         ("libngtcp2", "ngtcp2"), ("libnghttp3", "nghttp3"), ("libc.", "libc"), ("libm.", "libc"),
                         ("ld-linux", "libc"), ("linux-vdso", "libc")):
        if name.startswith(start):
            return layer
    return name or "?"


def read_callgrind(path, gate, events=("Ir",)):
    """Own cost, the sum of these events, of each object and, within the program, of each source file (inlined code where it is
    written)."""
    names = {"ob": {}, "fl": {}}
    by_object, by_file = collections.Counter(), collections.Counter()
    obj = file = ""
    skip = False
    columns = [1]

    def resolve(kind, text):
        number, _, name = text.partition(" ")
        if name:
            names[kind][number] = name
        return names[kind].get(number, "")

    with open(path) as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("events: "):
                columns = [1 + line.split()[1:].index(e) for e in events]
                continue
            key, eq, value = line.partition("=")
            if eq and key in ("ob", "cob"):
                found = resolve("ob", value)
                obj = found if key == "ob" else obj
            elif eq and key in ("fl", "fi", "fe", "cfi", "cfl"):
                found = resolve("fl", value)
                file = found if key in ("fl", "fi", "fe") else file
            elif eq and key == "calls":
                skip = True  # the next line is what the callee took in all
            elif line[:1] in "+-*0123456789" and line:
                costs = line.split()  # zeros at the end are left out
                cost = sum(int(costs[c]) for c in columns if c < len(costs))
                if not skip:
                    layer = layer_of(obj, gate)
                    by_object[layer] += cost
                    if layer == "own":
                        by_file[os.path.relpath(file, TOP) if file.startswith(str(TOP)) else file] += cost
                skip = False
    return by_object, by_file


def simulate(build, what, sessions, seconds, options, events):
    """(what gate printed, what read_callgrind() makes of it)"""
    gate = pathlib.Path(build) / "bin" / "gate"
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "callgrind.out")
        run = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no", f"--callgrind-out-file={out}",
                              *options, str(gate), what, str(sessions), str(seconds)], capture_output=True, text=True, timeout=300)
        if run.returncode:
            raise RuntimeError(f"{gate} {what}: exit status {run.returncode}\n{run.stdout}{run.stderr}")
        counts = {k: int(v) for k, _, v in (line.partition("=") for line in run.stdout.split())}
        return counts, read_callgrind(out, gate.name, events)


def measure(build, what):
    seconds = {"idle": IDLE_SECONDS, "relay": RELAY_SECONDS}.get(what, SECONDS)
    counts, found = simulate(build, what, SESSIONS, seconds, [], ("Ir",))
    return Measured({**counts, "what": what}, *found)


def misses(build, what, sessions):
    """{layer: lines of the cache for each packet pair that a second level of 1 MB does not hold}"""
    counts, (by_object, _) = simulate(build, what, sessions, 1, ["--cache-sim=yes", "--D1=49152,12,64", "--I1=32768,8,64", "--LL=1048576,16,64"],
                                      ("DLmr", "DLmw"))
    return {o: n / counts["in"] for o, n in by_object.items()}


def recorded():
    """{(machine, what): instructions}"""
    found = {}
    for line in RECORD.read_text().splitlines() if RECORD.exists() else []:
        words = line.split("#")[0].split()
        if len(words) == 3:
            found[words[0], words[1]] = float(words[2])
    return found


def record(measured):
    figures = recorded()
    for m in measured:
        figures[platform.machine(), m.counts["what"]] = m.gated
    with open(RECORD, "w") as f:
        f.write("# Instructions for each packet pair without OpenSSL and libc: machine, what, figure.\n"
                "# Written by tests/bench/gate.py --record; tests/bench/test_gate.py compares.\n")
        for (machine, what), n in sorted(figures.items()):
            f.write(f"{machine} {what} {n:.0f}\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--build", default=str(TOP / "build" / "bench"))
    args.add_argument("--record", action="store_true")
    args.add_argument("what", nargs="*", default=WHATS)
    args = args.parse_args()
    all_measured = []
    for what in args.what:
        m = measure(args.build, what)
        print("\n".join(m.lines()), flush=True)
        print("     ", " ".join(f"{k}={v}" for k, v in m.counts.items() if k != "what"), flush=True)
        all_measured.append(m)
    if args.record:
        record(all_measured)


if __name__ == "__main__":
    sys.exit(main())
