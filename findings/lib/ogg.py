"""Ogg, read and written, one stream."""
import struct


def crc(data, table=[]):
    if not table:
        for i in range(256):
            r = i << 24
            for _ in range(8):
                r = (r << 1 ^ 0x04c11db7 if r & 0x80000000 else r << 1) & 0xffffffff
            table.append(r)
    r = 0
    for byte in data:
        r = (r << 8 & 0xffffffff) ^ table[r >> 24 ^ byte]
    return r


def page(packets, granule, serial, number, flags=0):
    """Whole packets only."""
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, serial, number, 0, len(lacing)) + lacing
    data = head + b"".join(packets)
    return data[:22] + struct.pack("<I", crc(data)) + data[26:]


def opus_file(frames, serial=1, rate=48000):
    """`frames`: (granule position after it, packet); the position may jump."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, rate, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"none" + struct.pack("<I", 0)
    pages = [page([head], 0, serial, 0, 2), page([tags], 0, serial, 1)]
    for i, (granule, packet) in enumerate(frames):
        pages.append(page([packet], granule, serial, 2 + i, 4 if i == len(frames) - 1 else 0))
    return b"".join(pages)


def packets(path):
    """All, heads too."""
    data = open(path, "rb").read()
    at, part, found = 0, b"", []
    while at < len(data):
        n = data[at + 26]
        lacing, at = data[at + 27:at + 27 + n], at + 27 + n
        for length in lacing:
            part += data[at:at + length]
            at += length
            if length < 255:
                found.append(part)
                part = b""
    return found
