#!/usr/bin/env python3
"""A tool for a voice model: the arguments of a call come as JSON on stdin, the result goes as JSON to stdout."""
import json
import sys

HOURS = {"Monday": "9-18", "Tuesday": "9-18", "Wednesday": "9-13", "Thursday": "9-18", "Friday": "9-20", "Saturday": "10-16",
         "Sunday": ""}

day = json.load(sys.stdin).get("day", "")
if day not in HOURS:
    json.dump({"error": f"no such day; one of {', '.join(HOURS)}"}, sys.stdout)
elif HOURS[day]:
    json.dump({"day": day, "open": True, "hours": HOURS[day]}, sys.stdout)
else:
    json.dump({"day": day, "open": False}, sys.stdout)
