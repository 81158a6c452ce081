#!/usr/bin/env python3
"""Compares every #include with the table of layers: a layer sees only what stands below it,
and a library's headers are used in the layer that translates them and nowhere else."""
import pathlib
import re
import sys

LAYERS = {
    "base": [],
    "audio": ["base"],
    "quic": ["base"],
    "wt": ["quic", "base"],
    "http": ["base"],
    "session": ["wt", "http", "quic", "base"],
    "bridge": ["audio", "http", "base"],
    "room": ["bridge", "audio", "base"],
    "config": ["room", "bridge", "http", "wt", "quic", "audio", "base"],
    "client": ["wt", "quic", "audio", "base"],
    "daemon": ["config", "room", "bridge", "session", "http", "wt", "quic", "audio", "base"],
}
LIBRARIES = {
    "ngtcp2": ["quic"],
    "openssl": ["quic", "http"],
    "nghttp3": ["wt"],
    "llhttp.h": ["http"],
    "wslay": ["http"],
    "yyjson.h": ["bridge", "client", "daemon"],
    "opus": ["audio"],
    "toml++": ["config"],
    "uv.h": ["base/closing_uv.h", "quic/udp.c", "quic/ticker.c", "http", "bridge", "client", "daemon"],
    "base/closing_uv.h": ["quic/udp.c", "http", "bridge", "client", "daemon"],
}

root = pathlib.Path(__file__).resolve().parent.parent
faults = []
for path in sorted([*root.glob("src/*/*"), *root.glob("include/*/*")]):
    if path.suffix not in (".c", ".h", ".cpp"):
        continue
    layer = path.parent.name
    here = f"{layer}/{path.name}"
    if layer not in LAYERS:
        faults.append(f"{here}: no layer {layer} in the table")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
        if not found:
            continue
        name = found.group(1)
        top = name.split("/")[0]
        if top in LAYERS and "/" in name and top != layer and top not in LAYERS[layer]:
            faults.append(f"{here}:{number}: {layer} must not see {name}")
        for library, users in LIBRARIES.items():
            if (name == library or top == library) and layer not in users and here not in users:
                faults.append(f"{here}:{number}: <{name}> belongs to {', '.join(users)}")
        if path.parent.parent.name == "include" and (top in LIBRARIES or name in LIBRARIES):
            if layer not in ("http", "daemon", "client") and here not in ("quic/udp.h", "base/closing_uv.h"):
                faults.append(f"{here}:{number}: a contract must not show <{name}>")
print("\n".join(faults) if faults else "layers: every include is where it may be")
sys.exit(bool(faults))
