#!/usr/bin/env python3
"""guest.py FOLDER: what is done to the service inside the machine that test_systemd.py boots. Appends to FOLDER/facts, for each step, one line of JSON:
what was seen, or the error that ended it. Judges nothing: that is for test_systemd.py."""
import array
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback
import wave

FOLDER = pathlib.Path(sys.argv[1])
DROP_IN = pathlib.Path("/etc/systemd/system/mynahd.service.d/test.conf")
CONFIG = pathlib.Path("/etc/mynah/mynah.toml")
URL = "https://localhost:4433"
RATE = 16000
PROPERTIES = ("ActiveState", "SubState", "Type", "MainPID", "NRestarts", "Result", "StatusText", "DynamicUser", "ExecMainStatus", "UnitFileState")
steps = []


def step(function):
    steps.append(function)
    return function


def run(*command, seconds=60):
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    return {"status": done.returncode, "said": done.stdout + done.stderr, "seconds": round(time.monotonic() - began, 2)}


def show():
    lines = run("systemctl", "show", "mynahd", "-p", ",".join(PROPERTIES))["said"].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def until(true, seconds):
    """How long it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s; {show()}")
        time.sleep(0.1)
    return round(time.monotonic() - began, 2)


def is_up_again(before):
    now = show()
    return now["ActiveState"] == "active" and now["MainPID"] not in ("0", before["MainPID"])


def kill(signum):
    now = show()
    if now["MainPID"] == "0":  # that would be this script
        raise RuntimeError(f"the service does not run: {now}")
    os.kill(int(now["MainPID"]), signum)


def start_call(seconds):
    """It is in when this returns."""
    call = subprocess.Popen(["mynah", "call", URL, "--insecure", "--json", "--seconds", str(seconds), "--in", str(FOLDER / "tone.wav")],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    call.heard = []
    for line in call.stdout:
        call.heard.append(line)
        if '"welcome"' in line:
            return call
    raise RuntimeError("no call: " + "".join(call.heard))


def end_call(call, seconds=60):
    rest, _ = call.communicate(timeout=seconds)
    return {"status": call.returncode, "said": ("".join(call.heard) + rest)[-600:]}


def write_tone():
    with wave.open(str(FOLDER / "tone.wav"), "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(RATE)
        out.writeframes(array.array("h", (6000 if i // 20 % 2 else -6000 for i in range(RATE * 12 // 10))).tobytes())


def audible_seconds(path):
    with wave.open(str(path)) as heard:
        rate, samples = heard.getframerate(), array.array("h", heard.readframes(heard.getnframes()))
    frame = rate // 50
    loud = sum(max(map(abs, samples[i:i + frame])) > 2000 for i in range(0, len(samples) - frame, frame))
    return loud / 50


def configure(text, drop_in=""):
    CONFIG.write_text(text)
    DROP_IN.parent.mkdir(exist_ok=True)
    DROP_IN.write_text(drop_in)
    run("systemctl", "daemon-reload")


@step
def enabled():
    return {**run("systemctl", "enable", "--now", "mynahd"), **show()}


@step
def sandbox():
    pid = show()["MainPID"]
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return {key: status[key].strip() for key in ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}


@step
def answered():
    write_tone()
    call = run("mynah", "call", URL, "--insecure", "--in", FOLDER / "tone.wav", "--out", FOLDER / "heard.wav", "--linger", "4", "--quiet")
    return {**call, "audible": audible_seconds(FOLDER / "heard.wav")}


@step
def paused():
    before, call = show(), start_call(9)
    for _ in range(3):
        kill(signal.SIGSTOP)
        time.sleep(1.8)
        kill(signal.SIGCONT)
        time.sleep(0.4)
    return {"before": before, "after": show(), "call": end_call(call)}


@step
def killed():
    before = show()
    kill(signal.SIGKILL)
    return {"seconds": until(lambda: is_up_again(before), 60), "before": before, "after": show()}


@step
def hung():
    before = show()
    kill(signal.SIGSTOP)
    return {"seconds": until(lambda: is_up_again(before), 120), "before": before, "after": show(),
            "journal": run("journalctl", "-u", "mynahd", "-n", "40", "-o", "cat")["said"]}


@step
def reloaded():
    """A good certificate, a broken one, the good one again."""
    good = (FOLDER / "cert.pem").read_text()
    cert, key = CONFIG.with_name("cert.pem"), CONFIG.with_name("cert.key")
    cert.write_text(good)
    key.write_text((FOLDER / "cert.key").read_text())  # everybody in this machine may read it
    configure(f'[server]\ncertificate = "{cert}"\nprivate_key = "{key}"\n')
    facts = {"restart": run("systemctl", "restart", "mynahd")}
    for name, text in ("good", good), ("broken", "nonsense\n"), ("mended", good):
        cert.write_text(text)
        facts[name] = {**run("systemctl", "reload", "mynahd"), **show()}
    facts["shown"] = run("systemctl", "status", "mynahd")["said"]
    return facts


@step
def without_credential():
    configure('[server]\ncertificate = "credential:cert.pem"\nprivate_key = "credential:cert.key"\n',
              f"[Service]\nLoadCredential=cert.pem:{FOLDER}/cert.pem\nLoadCredential=cert.key:/nowhere/cert.key\n")
    facts = {**run("systemctl", "restart", "mynahd"), **show()}
    facts["journal"] = run("journalctl", "-u", "mynahd", "-n", "15", "-o", "cat")["said"]
    DROP_IN.write_text(DROP_IN.read_text().replace("/nowhere", str(FOLDER)))
    run("systemctl", "daemon-reload")
    facts["mended"] = run("systemctl", "restart", "mynahd")
    facts["reload"] = {**run("systemctl", "reload", "mynahd"), **show()}
    return facts


@step
def stopped():
    calls = [start_call(60) for _ in range(3)]
    facts = {**run("systemctl", "stop", "mynahd"), **show()}
    return {**facts, "calls": [end_call(call) for call in calls]}


def main():
    for function in steps:
        began = time.monotonic()
        try:
            facts = function()
        except Exception:
            facts = {"error": traceback.format_exc()}
        facts["took"] = round(time.monotonic() - began, 1)
        with open(FOLDER / "facts", "a") as out:
            out.write(json.dumps({"step": function.__name__, **facts}, default=str) + "\n")


main()
