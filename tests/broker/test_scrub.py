"""Scrubbing of the real binary: what is flipped under a running broker is found, told and not served."""
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

import sluice_broker
from sluice_broker import Broker, on_a_terminal, wait_for
from test_storage_tools import SMALL, VALUE, data_of, extents_of, flip, fill, frames_of, lines_of, metric, sealed

FAST = SMALL + ("storage.scrub_bytes_per_s=1 GiB",)


def scrub(broker, *arguments, code=0):
    done, out, err = broker.run("scrub", "--json", *arguments)
    assert done == code, (done, out, err)
    return json.loads(out)


def ready(broker):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % broker.http, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def offsets_from(broker, topic, at):
    """Offsets and values from `at` to where the broker stops serving."""
    found = subprocess.run(["kcat", "-b", broker.address, "-C", "-t", topic, "-p", "0", "-o", str(at), "-e", "-q",
                            "-f", "%o %s\\n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    return found.returncode, found.stdout.decode().splitlines(), found.stderr.decode()


def test_all_that_is_stored_is_read_and_sound():
    with Broker(*FAST) as broker:
        sealed(broker)
        before = scrub(broker)
        assert not before["running"] and before["shards"][0]["passes"] == "0", before
        after = scrub(broker, "--now")
        shard, = after["shards"]
        assert shard["passes"] == "1" and after["damaged"] == "0" and not after["findings"], after
        size = sum(os.path.getsize(path) for path in extents_of(data_of(broker)))
        assert int(shard["last_bytes"]) >= size, (shard, size)
        assert "read all that is stored: it is sound" in broker.log()
        wait_for(lambda: metric(broker, "sluice_scrub_passes_total") == 1, "the metrics")
        assert metric(broker, "sluice_scrub_read_bytes_total") == int(shard["last_bytes"])
        assert metric(broker, "sluice_scrub_last_pass_seconds") > 1.7e9
        code, out, _ = broker.run("scrub")
        assert code == 0 and b"sound" in out and b"\x1b" not in out


def test_a_flipped_byte_in_an_extent_is_found_and_never_served():
    sluice_broker.need("kcat")
    with Broker(*FAST) as broker:
        sealed(broker, ["orders"])
        path = extents_of(data_of(broker))[0]
        blocks = [e for e in lines_of("extent", "dump", path) if e["event"] == "block"]
        block = blocks[1]
        first, last = int(block["base_offset"]), int(block["last_offset"])
        code, lines, _ = offsets_from(broker, "orders", 0)  # now everything was read once
        assert code == 0 and len(lines) == 1600
        flip(path, int(block["position"]) + int(block["bytes"]) // 2)
        code, lines, _ = offsets_from(broker, "orders", 0)  # before anyone scrubbed
        assert all(VALUE in line for line in lines) and len(lines) == first, (code, len(lines), first)
        found = scrub(broker, "--now", code=1)
        finding, = found["findings"]
        assert found["damaged"] == "1" and finding["topic"] == "orders" and finding["partition"] == 0, finding
        assert path.endswith(finding["file"]) and finding["position"] == block["position"], finding
        assert (int(finding["first_offset"]), int(finding["last_offset"])) == (first, last)
        line = [one for one in broker.log().splitlines() if " error scrub " in one and "not served" in one]
        assert len(line) == 1, line
        for word in (finding["file"], "position=" + block["position"], "topic=orders", "partition=0",
                     "first_offset=%d" % first, "last_offset=%d" % last, "salvage"):
            assert word in line[0], (word, line)
        status, text = ready(broker)
        assert status == 200 and "degraded: shard 0: 1 damaged places" in text, (status, text)
        wait_for(lambda: metric(broker, "sluice_storage_damaged_places") == 1, "the metrics")
        assert metric(broker, "sluice_scrub_errors_total") == 1
        code, lines, err = offsets_from(broker, "orders", first)
        assert not lines, lines[:1]
        assert "Invalid message" in err, err  # CORRUPT_MESSAGE, in librdkafka's words
        code, lines, _ = offsets_from(broker, "orders", last + 1)
        assert code == 0 and [int(one.split()[0]) for one in lines] == list(range(last + 1, 1600))
        assert broker.run("produce", "orders", "more")[0] == 0
        code, out, _ = broker.run("scrub")
        assert code == 1 and b"damaged" in out and finding["file"].encode() in out
        flip(path, int(block["position"]) + int(block["bytes"]) // 2)  # as if put back
        assert scrub(broker, "--now")["damaged"] == "0"
        code, lines, _ = offsets_from(broker, "orders", 0)
        assert len(lines) == 1601 and "degraded" not in ready(broker)[1]


def test_a_flipped_byte_in_a_sealed_segment_is_found_and_never_served():
    settings = [s for s in FAST if "seal_bytes" not in s] + ["wal.seal_bytes=64 MiB"]
    sluice_broker.need("kcat")
    with Broker(*settings) as broker:
        for _ in range(12):
            fill(broker, "orders")
        segments = sorted(os.listdir(os.path.join(data_of(broker), "shard-0", "wal")))
        path = os.path.join(data_of(broker), "shard-0", "wal", [one for one in segments if one.endswith(".seg")][0])
        with open(path, "rb") as file:
            at = file.read().index(VALUE.encode())
        copy = os.path.join(broker.home, "copy")
        shutil.copytree(data_of(broker), copy)
        frames = [f[1] for f in frames_of(copy) if os.path.basename(f[0]) == os.path.basename(path)]
        flip(path, at + 5)
        found = scrub(broker, "--now", code=1)
        assert found["findings"] and all(f["topic"] == "orders" for f in found["findings"]), found
        finding = found["findings"][0]
        assert path.endswith(finding["file"])
        code, lines, err = offsets_from(broker, "orders", int(finding["first_offset"]))
        assert all(VALUE in line for line in lines) and not lines, lines[:1]
        assert broker.run("produce", "orders", "more")[0] == 0
        frame = next(one for one in frames if one > at)
        flip(path, frame + 30)
        found = scrub(broker, "--now", code=1)
        assert any("topic" not in f and f["position"] == str(frame) for f in found["findings"]), (frame, found)
        assert "the next start will refuse it" in broker.log()


def test_scrubbing_keeps_to_its_rate_and_shows_a_bar_on_a_terminal():
    with Broker(*SMALL, "storage.scrub_bytes_per_s=1 MiB") as broker:
        sealed(broker, ["orders"])
        output = on_a_terminal("scrub", "--now", "--rate", "4 MiB", "--home", broker.home)
        assert re.search(rb"scrubbing \[#*\.*\] +\d+ %  [\d.]+ of [\d.]+ MiB  [\d.]+ MiB/s", output), output
        shard, = scrub(broker)["shards"]
        assert int(shard["last_elapsed_ms"]) >= int(shard["last_bytes"]) * 1000 // (4 << 20) * 0.6, shard
        code, _, err = broker.run("scrub", "--rate", "fast")
        assert code == 64 and "must be a size" in err


def test_scrubbing_begins_by_itself_and_follows_a_reload():
    with Broker(*SMALL, "compaction.check_interval=200 ms", start=False) as broker:
        path = os.path.join(broker.home, "sluice.yaml")
        with open(path, "w") as file:
            file.write("storage: {scrub_interval: 0 s, scrub_bytes_per_s: 1 GiB}\n")
        broker.extra = ["--config", path]
        broker.start()
        sealed(broker, ["orders"])
        shard, = scrub(broker)["shards"]
        assert shard["next_ms"] == "0", shard
        with open(path, "w") as file:
            file.write("storage: {scrub_interval: 1 s, scrub_bytes_per_s: 1 GiB}\n")
        broker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: " reloaded " in broker.log(), "the reload")
        assert "needs a restart" not in broker.log()
        wait_for(lambda: int(scrub(broker)["shards"][0]["passes"]) >= 2, "two passes")


load_tests = sluice_broker.loader(globals())
