"""sluice debug: one archive for those who help, and why a client does not get through."""
import json
import os
import re
import subprocess
import tarfile

from sluice_broker import SLUICE, Broker, free_port, loader, wait_for

SECRETS = ["hunter-2-hunter", "t0ken-of-mine"]
LEAKY = """return {
  name = "leaky", on = "log", input = "orders", output = "checked",
  init = function(config) log.warn("connecting with " .. config.db.password) end,
  process = function(record) return record end,
}
"""


def unpack(path):
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert all(member.isfile() and member.mode == 0o600 for member in members), members
        files = {member.name.split("/", 1)[1]: archive.extractfile(member).read() for member in members}
        assert len({member.name.split("/")[0] for member in members}) == 1, members
    return files


def bundle(broker, *words, code=0):
    path = os.path.join(broker.home, "bundle%d.tar.gz" % len(os.listdir(broker.home)))
    got, out, err = broker.run("debug", "bundle", "--json", "--out", path, *words)
    assert got == code, err
    told = json.loads(out)
    assert told["path"] == path and told["bytes"] == os.path.getsize(path)
    files = unpack(path)
    assert {row["file"] for row in told["files"] if row["in_it"]} == set(files), told
    return files, told, err


def with_secrets():
    """A broker whose configuration has secrets, in a file."""
    broker = Broker(start=False)
    path = os.path.join(broker.home, "secret.yaml")
    with open(path, "w") as file:
        json.dump({"plugins": {"instances": {"leaky": {"module": "leaky.lua", "config": {
            "db": {"password": SECRETS[0], "host": "db.example"}, "api_token": SECRETS[1]}}}}}, file)
    broker.extra = ["--config", path]
    broker.start()
    with open(os.path.join(broker.home, "plugins", "leaky.lua"), "w") as file:
        file.write(LEAKY)
    wait_for(lambda: SECRETS[0].encode() in broker.run("plugin", "logs", "leaky")[1], "the plugin to tell")
    return broker


def test_a_bundle_has_what_helps_and_no_secret():
    with with_secrets() as broker:
        broker.run("topic", "create", "orders", "-p", "2")
        broker.run("produce", "orders", "a-value-of-somebody")
        files, _, _ = bundle(broker)
        assert {"config.json", "status.json", "metrics.prom", "flow.json", "plugins.json", "recovery.json", "topics.json", "groups.json", "log.txt",
                "wal.jsonl", "extents.jsonl", "versions.json", "host.txt", "scrub.json", "health.json", "README.txt"} <= set(files), sorted(files)
        whole = b"".join(files.values())
        assert b"connecting with (secret)" in files["plugins/leaky.log"] and b"connecting with (secret)" in files["log.txt"]
        assert not [secret for secret in SECRETS if secret.encode() in whole]
        assert b"a-value-of-somebody" not in whole
        instance = json.loads(files["config.json"])["plugins.instances.leaky.config"]["value"]
        assert json.loads(instance) == {"db": {"password": "(secret)", "host": "db.example"}, "api_token": "(secret)"}, instance
        topics = json.loads(files["topics.json"])
        assert "orders" in [topic["name"] for topic in topics["described"]] and topics["not_described"] == 0
        assert b"# TYPE sluice_" in files["metrics.prom"]
        assert [json.loads(line) for line in files["wal.jsonl"].splitlines()]
        assert b"ready " in files["log.txt"] and b"Max open files" in files["host.txt"]
        assert json.loads(files["status.json"])["pid"] == broker.process.pid
        assert set(json.loads(files["flow.json"])) == {"first", "second"}
        # names, hidden: the same one everywhere
        files, _, _ = bundle(broker, "--redact")
        whole = b"".join(content for name, content in files.items() if name != "host.txt")
        assert not re.search(rb"\borders\b", whole), re.search(rb".{40}\borders\b.{40}", whole, re.S)
        hidden = [topic["name"] for topic in json.loads(files["topics.json"])["topics"]]
        assert all(re.fullmatch("x-[0-9a-f]{12}", name) for name in hidden), hidden
        # bounds: what is too large is cut, and told
        files, told, _ = bundle(broker, "--max-size", "256 KiB", "--lines", "1")
        assert sum(map(len, files.values())) < 256 * 1024 + 64 * 1024
        assert len(files["log.txt"].splitlines()) == 1
        assert broker.run("debug", "bundle", "--out", told["path"])[0] == 74  # is there already
        assert broker.run("debug", "bundle", "--max-size", "1")[0] == 64


def test_beside_a_dead_broker_it_has_what_files_tell():
    with Broker() as broker:
        broker.run("produce", "orders", "x")
        broker.crash()
        files, told, err = bundle(broker, code=3)
        assert not told["broker_answered"] and "no broker answers" in err
        assert {"config.json", "wal.jsonl", "extents.jsonl", "versions.json", "host.txt", "README.txt"} <= set(files), sorted(files)
        missing = {row["file"] for row in told["files"] if not row["in_it"]}
        assert {"metrics.prom", "status.json", "topics.json"} <= missing
        assert b"no broker answers" in files["README.txt"]


def connect(*words):
    done = subprocess.run([SLUICE, "debug", "connect", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_an_advertised_address_that_leads_nowhere_is_told():
    nowhere = free_port()
    with Broker(f"kafka.advertised=127.0.0.1:{nowhere}") as broker:
        code, out, err = connect(broker.address)
        assert code == 1 and f"127.0.0.1:{nowhere}" in out and "nothing listens there" in out, out
        assert "kafka.advertised" in err, err
        told = json.loads(connect(broker.address, "--json")[1])
        assert told["brokers"] == [{"node": 1, "told": f"127.0.0.1:{nowhere}", "from_here": "refused", "verdict": "nothing listens there"}], told
        code, _, err = connect("127.0.0.1:%d" % broker.http, "--timeout", "2s")
        assert code == 69 and "SLU-" in err, err
    with Broker() as broker:
        code, out, _ = connect(broker.address)
        assert code == 0 and "clients get through" in out, out
    code, _, err = connect("127.0.0.1:%d" % nowhere)
    assert code == 69 and "nothing listens there" in err, err


def test_a_listener_that_wants_a_login_is_known():
    with Broker("kafka.sasl.mechanisms=PLAIN") as broker:
        code, _, err = connect(broker.address, "--timeout", "10s")
        assert code == 69 and "wants a login" in err, err


load_tests = loader(globals())
