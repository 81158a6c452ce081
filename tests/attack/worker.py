#!/usr/bin/env python3
"""A child behind a bridge of type "process" that misbehaves as it is told: worker.py MODE. What it does is said in workers.py,
where the table is."""
import json
import os
import signal
import struct
import sys
import time

FLUSH, MARK, EVENT, AUDIO16 = 0x20, 0x21, 0x22, 0x12
MODES = {}


def mode(run):
    MODES[run.__name__.replace("_", "-")] = run
    return run


def record(kind, payload=b""):
    return struct.pack(">BH", kind, len(payload)) + payload


def event(**fields):
    return record(EVENT, json.dumps(fields).encode())


def put(data):
    os.write(1, data) if len(data) < 4096 else sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def again(data, per_s=0):
    """`data` so often a second; 0: as fast as the pipe takes it."""
    start, n = time.monotonic(), 0
    while True:
        put(data)
        n += 1
        if per_s:
            time.sleep(max(0, start + n / per_s - time.monotonic()))


def rest():
    while True:
        time.sleep(100)


@mode
def child_that_floods(): again(record(AUDIO16, bytes(32000)))


@mode
def child_at_ten_times_the_rate(): again(record(AUDIO16, bytes(640)), 500)


@mode
def child_that_sends_crumbs(): again(record(AUDIO16, bytes(2)) * 1000)


@mode
def child_that_sends_nothing_often(): again(record(AUDIO16) * 1000)


@mode
def child_that_writes_200_lines_a_second(): again(event(type="message", text="spam " * 20), 200)


@mode
def child_that_writes_a_book(): again(event(type="message", text="x" * 4000) * 17, 1)


@mode
def child_that_transcribes_without_end(): again(event(type="transcript", text="word " * 20, final=False), 1500)


@mode
def child_with_unknown_events(): again(event(type="surprise", deep=[[[[1]]]]), 0)


@mode
def child_with_marks(): again(record(MARK, b"m" * 255) * 100, 0)


@mode
def child_that_flushes(): again(record(AUDIO16, bytes(640)) + record(FLUSH), 500)


@mode
def child_with_json_without_end(): again(record(EVENT, b"[" * 16000), 10)


@mode
def child_with_text_that_is_none(): again(record(EVENT, b'{"type":"message","text":"\xff\xfe"}'), 10)


@mode
def child_with_half_a_record():
    put(b"\x12\x01\x00hal")
    rest()


@mode
def child_byte_by_byte():
    for byte in record(AUDIO16, bytes(32000)) * 100:
        put(bytes([byte]))


@mode
def child_that_prints():
    put(b"Traceback (most recent call last):\n" * 100)
    rest()


@mode
def child_with_unknown_records(): again(record(0x77, bytes(100)), 500)


@mode
def child_that_shouts():
    while True:
        os.write(2, b"a line of stderr\n" * 200)


@mode
def child_that_shouts_one_line():
    while True:
        os.write(2, b"x" * 4096)


@mode
def child_that_exits(): sys.exit(3)


@mode
def child_that_dies(): os.kill(os.getpid(), signal.SIGKILL)


@mode
def child_that_ignores_the_end():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rest()


@mode
def child_that_leaves_children():
    for _ in range(5):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            rest()
    rest()


@mode
def child_that_closes_its_pipes():
    os.close(1)
    os.close(0)
    rest()


@mode
def child_that_hangs_up_and_goes_on():
    put(record(0))
    again(record(AUDIO16, bytes(640)), 500)


if __name__ == "__main__":
    try:
        MODES[sys.argv[1]]()
    except BrokenPipeError:
        os._exit(0)
