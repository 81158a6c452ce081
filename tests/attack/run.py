#!/usr/bin/env python3
"""run.py [--seconds N] [--long] [--fast] [--together N] [--old BINARY] [--write FILE] [NAME...]

All attacks, or those whose names begin with a NAME, against $MYNAHD; --old: against an older build first. --write: the table
in FILE, between its marks, gets the outcome; what was not run keeps its line. Exit status 1 if something was lost that is
not known to be (the attack's `pending`)."""
import argparse
import asyncio
import logging
import pathlib
import sys

from kit import ATTACKS, Town
import attacks  # noqa: F401
import repeated  # noqa: F401
import workers

BEGIN, END = "<!-- table of attacks -->", "<!-- end of the table -->"
HEAD = "| attack | layer | what | 0.1.0 | now |\n|---|---|---|---|---|\n"


async def run(chosen, binary, seconds, together, on_verdict):
    """{name: Verdict}"""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the attacker's own stack is not made for this
    found = {}
    async with workers.serving(chosen) as bridges:
        town = Town(chosen, binary, bridges)
        await town.start()
        try:
            for i in range(0, len(chosen), together):
                some = chosen[i:i + together]
                found.update(await town.verdicts(some, seconds))
                for a in some:
                    on_verdict(a, found[a.name])
        finally:
            await town.stop()
    return found


def show(a, verdict):
    state = "ok  " if not verdict.problems else "wait" if a.pending else "FAIL"
    print(f"{state} {a.layer:<11} {a.name:<36} {verdict} ({verdict.answer}, join {verdict.join_ms} ms, {verdict.grown_mib:+.1f} MiB, {verdict.cores:.2f} cores)", flush=True)


def rows(text):
    """{name: (old, now)} of a table that was written before."""
    found = {}
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = (cells[3], cells[4])
    return found


def table(text, old, now):
    before = rows(text)
    lines = []
    for a in ATTACKS:
        was = before.get(a.name, ("", ""))
        cells = [str(found[a.name]) if a.name in found else kept for found, kept in zip((old, now), was)]
        if a.name in now and now[a.name].problems and a.pending:
            cells[1] += f" (to be mended: {a.pending})"
        lines.append(f"| `{a.name}` | {a.layer} | {a.what} | {' | '.join(c.replace('|', '/') for c in cells)} |\n")
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + "\n" + HEAD + "".join(lines) + END + rest.partition(END)[2]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--old")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    logging.getLogger("quic").setLevel(logging.CRITICAL)
    chosen = [a for a in ATTACKS if (args.long or not a.long or a.name in args.names) and (a.fast or not args.fast) and
              (not args.names or any(a.name.startswith(n) or a.layer == n for n in args.names))]
    if not chosen:
        sys.exit("no such attack")
    old = asyncio.run(run(chosen, args.old, args.seconds, args.together, show)) if args.old else {}
    now = asyncio.run(run(chosen, None, args.seconds, args.together, show))
    if args.write:
        args.write.write_text(table(args.write.read_text(), old, now))
    lost = [a.name for a in chosen if now[a.name].problems and not a.pending]
    print(f"{len(chosen)} attacks, {sum(bool(v.problems) for v in now.values())} lost something" + (": " + ", ".join(lost) if lost else ""))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
