"""WAV files as bytes: made, and looked into. `python3 riff.py [FILE]` prints what a head claims and what follows it."""
import struct
import sys

FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)  # 8 kHz, 16 bit, one channel


def wav(samples, riff=None, data=None, before=b""):
    """Lengths as told, or right."""
    body = FMT + before + b"data" + struct.pack("<I", len(samples) if data is None else data) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(body) if riff is None else riff) + b"WAVE" + body


def rf64(samples):
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 72 + len(samples), len(samples), len(samples) // 2, 0)
    return b"RF64" + struct.pack("<I", 0xffffffff) + b"WAVE" + ds64 + FMT + b"data" + struct.pack("<I", 0xffffffff) + samples


def main(data):
    if data[:4] != b"RIFF":
        print("no head")
        return
    at = data.find(b"data")
    print(f"{struct.unpack_from('<I', data, at + 4)[0]:08x}", len(data) - at - 8)


if __name__ == "__main__":
    main(open(sys.argv[1], "rb").read() if len(sys.argv) > 1 else sys.stdin.buffer.read())
