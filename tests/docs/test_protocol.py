#!/usr/bin/env python3
"""The bytes in docs/protocol.md are the bytes that the code means."""
import json
import pathlib
import re
import struct
import unittest

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs/protocol.md").read_text()


class Protocol(unittest.TestCase):
    def test_hex_examples_of_frames(self):
        blocks = re.findall(r"```hex legacy ([^\n]+)\n([^`]+)```", TEXT)
        self.assertTrue(blocks)
        for what, text in blocks:
            rate, *samples = map(int, what.split())
            self.assertEqual(bytes.fromhex(text), struct.pack(f"<H{len(samples)}h", rate // 100, *samples))

    def test_hex_example_of_v1(self):
        what, text = re.search(r"```hex v1 ([^\n]+)\n([^`]+)```", TEXT).groups()
        words = what.split()
        named = dict(word.split("=") for word in words if "=" in word)
        rate, *samples = [int(word) for word in words if word.lstrip("-").isdigit()]
        flags = 0x10 * ("begins" in words) + 0x20 * ("ends" in words)
        self.assertEqual(bytes.fromhex(text), struct.pack(
            f"<HBBHHI{len(samples)}h", 0x8000 | flags, 0, int(named["epoch"]), rate // 100, int(named["seq"]),
            int(named["time"]), *samples))

    def test_table_of_rates(self):
        rows = re.findall(r"^\| (\d+) \| `([0-9a-f ]+)`", TEXT, re.M)
        self.assertEqual(len(rows), 7)
        for rate, text in rows:
            self.assertEqual(bytes.fromhex(text), struct.pack("<H", int(rate) // 100), rate)

    def test_example_lines_are_json_with_a_documented_type(self):
        lines = re.search(r"```json lines\n([^`]+)```", TEXT).group(1).splitlines()
        for line in lines:
            kind = json.loads(line)["type"]
            self.assertIn(f"| `{kind}` |", TEXT)

    def test_every_type_of_the_code_is_documented(self):
        code = (pathlib.Path(__file__).resolve().parents[2] / "src/daemon/control.c").read_text()
        kinds = set(re.findall(r'\] = "([a-z]+)"', code)) | set(re.findall(r'line_of\("([a-z]+)"', code))
        kinds -= {"unknown"}
        for kind in kinds:
            self.assertIn(f"| `{kind}` |", TEXT)


if __name__ == "__main__":
    unittest.main()
