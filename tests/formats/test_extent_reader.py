#!/usr/bin/env python3
"""test_extent_reader.py SAMPLES: what the broker's writer writes is what docs/formats/extent.md says.

SAMPLES writes extents and says what it put into them; extent_reader.py, which knows only the document,
must find the same."""
import os
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import extent_reader  # noqa: E402

SAMPLES = sys.argv.pop() if len(sys.argv) > 1 else os.environ.get("EXTENT_SAMPLES", "build/test/tests/extent_samples")


class Reader(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="sluice-formats-")
        output = subprocess.run([SAMPLES, cls.folder.name], check=True, text=True, stdout=subprocess.PIPE).stdout
        cls.given = {}
        for line in output.splitlines():
            word, *rest = line.split(" ")
            if word == "extent":
                streams, begins = {}, False
                cls.given[int(rest[0])] = (int(rest[1]), int(rest[2]), streams)
            elif word == "range":
                begins = True
            else:
                streams.setdefault((bytes.fromhex(rest[0]), int(rest[1])), []).append(
                    ([int(word) for word in rest[2:6]] + [begins], bytes.fromhex(rest[6])))
                begins = False

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def bytes_of(self, identity):
        with open(os.path.join(self.folder.name, f"{identity:020}.ext"), "rb") as file:
            return file.read()

    def test_finds_every_batch_where_the_document_says(self):
        self.assertEqual(sorted(os.listdir(self.folder.name)), sorted(f"{i:020}.ext" for i in self.given))
        for identity, (shard, created, streams) in self.given.items():
            extent = extent_reader.Extent(self.bytes_of(identity))
            self.assertEqual((extent.id, extent.shard, extent.created_ms), (identity, shard, created))
            self.assertEqual(extent.cluster, bytes([0xC1, 5, 7] + 13 * [0]))
            self.assertEqual([(s["topic"], s["partition"]) for s in extent.streams], list(streams))
            for stream in extent.streams:
                batches = streams[stream["topic"], stream["partition"]]
                self.assertEqual(extent.batches(stream), [batch for _, batch in batches])
                self.assertEqual(stream["base"], batches[0][0][0])
                self.assertEqual(stream["last"], batches[-1][0][1])
                self.assertEqual(stream["timestamp"], max(fields[3] for fields, _ in batches))

    def test_blocks_end_where_the_document_says(self):
        cut = 0
        for identity, (_, _, streams) in self.given.items():
            extent = extent_reader.Extent(self.bytes_of(identity))
            for stream in extent.streams:
                expected = []  # (size, epoch, flags)
                for fields, batch in streams[stream["topic"], stream["partition"]]:
                    fits = expected and expected[-1][1] == fields[2] and expected[-1][0] + len(batch) <= 262144
                    if fits and not fields[4] and not extent.promoted:
                        expected[-1] = (expected[-1][0] + len(batch), *expected[-1][1:])
                    else:
                        expected.append((len(batch), fields[2], int(fields[4])))
                self.assertEqual([(b["size"], b["epoch"], b["flags"]) for b in stream["blocks"]], expected)
                cut += len(expected) - 1
        self.assertGreater(cut, 10)

    def test_reads_a_promoted_segment_whatever_lies_between_its_blocks(self):
        data = bytearray(self.bytes_of(77))
        extent = extent_reader.Extent(bytes(data))
        self.assertTrue(extent.promoted)
        self.assertEqual((extent.segment, len(extent.streams)), (9, 1))
        at = 4096
        for block in extent.streams[0]["blocks"]:
            self.assertGreater(block["position"], at)
            data[at:block["position"]] = os.urandom(block["position"] - at)
            at = block["position"] + block["size"]
        data[at:extent.footer_position] = os.urandom(extent.footer_position - at)
        again = extent_reader.Extent(bytes(data))
        self.assertEqual(again.batches(again.streams[0]), extent.batches(extent.streams[0]))

    def test_refuses_a_flipped_bit(self):
        data = self.bytes_of(1)
        seed = random.randrange(1 << 32)
        for at in random.Random(seed).sample(range(len(data)), 300) + list(range(len(data) - 64, len(data))):
            damaged = bytearray(data)
            damaged[at] ^= 1 << at % 8
            with self.assertRaises(extent_reader.Refused, msg=f"byte {at}, seed {seed}"):
                extent = extent_reader.Extent(bytes(damaged))
                for stream in extent.streams:
                    extent.batches(stream)

    def test_refuses_a_flipped_bit_in_all_that_a_promoted_segment_is_read_by(self):
        data = self.bytes_of(77)
        extent = extent_reader.Extent(data)
        blocks = [at for block in extent.streams[0]["blocks"]
                  for at in range(block["position"], block["position"] + block["size"], 97)]
        for at in list(range(0, 128)) + [4095] + blocks + list(range(extent.footer_position, len(data))):
            damaged = bytearray(data)
            damaged[at] ^= 1 << at % 8
            with self.assertRaises(extent_reader.Refused, msg=f"byte {at}"):
                again = extent_reader.Extent(bytes(damaged))
                again.batches(again.streams[0])

    def test_knows_its_crc(self):
        self.assertEqual(extent_reader.crc32c(b"123456789"), 0xE3069283)


if __name__ == "__main__":
    unittest.main()
