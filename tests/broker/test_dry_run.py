"""--dry-run: the broker makes all its checks, says what would be, and nothing changes."""
import json
import os

from test_group_command import commit
from sluice_broker import Broker, loader, wait_for

STAGE = """return { name = "stage", on = "log", input = "orders", output = "checked",
  process = function(record) if record.value == "bad" then error("no") end return record end }
"""
HELD = """return { name = "held", on = "log", input = "orders", process = function(record) return nil end }
"""
GATE = """return { name = "gate", on = "produce", input = "guarded", process = function(record) return record end }
"""
# Commands, and what they say of what they would do.
CHANGES = [
    (("topic", "create", "new", "-p", "3", "-c", "retention.ms=1000"), b"would have created new"),
    (("topic", "alter", "orders", "-c", "retention.ms=77", "-p", "9"), b"retention.ms"),
    (("topic", "delete", "orders"), b"would have deleted orders: 2 partitions, 3 offsets"),
    (("topic", "trim", "orders", "-p", "0", "-b", "2"), b"orders 0 would begin at 2"),
    (("acl", "add", "User:bob", "Read", "Topic:orders"), b"would have added"),
    (("acl", "remove", "User:alice", "Read", "Topic:orders"), b"would have removed"),
    (("user", "add", "bob"), b"would have set user bob"),
    (("user", "remove", "alice"), b"would have removed user alice"),
    (("quota", "set", "User:bob", "producer_byte_rate=1000"), b"would have set quotas of User:bob"),
    (("quota", "remove", "User:alice", "producer_byte_rate"), b"would have removed quotas of User:alice"),
    (("group", "seek", "readers", "--to", "start"), b"nothing was changed"),
    (("group", "delete", "readers"), b"its 1 offsets go"),
    (("plugin", "pause", "stage"), b"stage would be paused"),
    (("plugin", "disable", "gate"), b"gate would be disabled; it is a gate"),
    (("plugin", "unload", "stage"), b"stage would be unloaded"),
    (("plugin", "reload", "stage"), b"stage.lua would be read again and loaded"),
    (("plugin", "resume", "held"), b"held would go on where it stopped"),
    (("plugin", "enable", "idle"), b"idle"),
    (("plugin", "forget", "idle"), b"idle"),
    (("plugin", "rollback", "gate"), b"gate"),
    (("plugin", "seek", "stage", "--to", "start"), b"positions would move"),
    (("dlq", "redrive", "stage"), b"1 dead letters would go to stage stage"),
    (("reload",), b""),
]
# What is refused when it is meant is refused when it is tried.
REFUSED = [
    (("topic", "create", "orders"), "SLU-1303"),
    (("topic", "create", "a/b"), "SLU-1302"),
    (("topic", "alter", "orders", "-c", "retention.ms=soon"), "SLU-1306"),
    (("topic", "alter", "orders", "-p", "1"), "SLU-1304"),
    (("topic", "delete", "nothing"), "SLU-1300"),
    (("topic", "trim", "orders", "-p", "0", "-b", "99"), "SLU-1307"),
    (("acl", "add", "User:bob", "Fly", "Topic:orders"), "SLU-1002"),
    (("acl", "remove", "User:bob", "Write", "Topic:orders"), "SLU-"),
    (("user", "remove", "nobody"), "SLU-"),
    (("quota", "set", "User:bob", "nonsense=1"), "SLU-"),
    (("group", "delete", "nobody"), "SLU-"),
    (("plugin", "pause", "gate"), "SLU-1009"),
    (("plugin", "pause", "nobody"), "SLU-1004"),
    (("dlq", "redrive", "nobody"), "SLU-"),
]


def state(broker):
    """All that these commands change, as the broker tells it."""
    names = [topic["name"] for topic in broker.json("topic", "list")["topics"] if topic["name"] != "new"]
    return {
        "topics": [broker.ask("topic.describe", topic=name) for name in names],
        "list": broker.ask("topic.list"), "rules": broker.ask("acl.list"), "users": broker.ask("user.list"), "quotas": broker.ask("quota.list"),
        "group": broker.ask("group.seek", group="readers", to="+0", dry_run=True), "letters": broker.ask("dlq.stages"),
        "plugins": [(plugin["name"], plugin["state"], plugin["hash"]) for plugin in broker.ask("plugin.list")["plugins"]],
        "kept": broker.ask("plugin.info", name="gate")["versions"],
        "files": sorted(os.listdir(os.path.join(broker.home, "plugins"))),
    }


def prepared():
    broker = Broker()
    broker.run("topic", "create", "orders", "-p", "2")
    broker.run("topic", "create", "watched")
    broker.run("topic", "create", "guarded")  # the stage makes its own output, on the shards of its input
    for name, text in (("stage", STAGE), ("gate", GATE), ("held", HELD), ("idle", GATE.replace('"gate"', '"idle"').replace("guarded", "watched"))):
        with open(os.path.join(broker.home, "plugins", name + ".lua"), "w") as file:
            file.write(text)
    wait_for(lambda: {plugin["state"] for plugin in broker.ask("plugin.list")["plugins"] if plugin["name"] in ("stage", "gate", "held", "idle")} == {"running"}, "plugins")
    broker.ask("produce", topic="orders", records=[{"value": value, "partition": 0} for value in ("good", "bad", "good")])
    wait_for(lambda: (broker.ask("dlq.stages") or {}).get("partitions"), "the dead letter")
    with open(os.path.join(broker.home, "plugins", "gate.lua"), "w") as file:
        file.write(GATE + "-- a second version\n")
    wait_for(lambda: len(broker.ask("plugin.info", name="gate")["versions"]) > 1, "the second version")
    assert broker.run("plugin", "pause", "held")[0] == 0 and broker.run("plugin", "disable", "idle", "--yes")[0] == 0
    assert broker.run("user", "add", "alice", stdin=b"secret-of-alice\n")[0] == 0
    assert broker.run("acl", "add", "User:alice", "Read", "Topic:orders")[0] == 0
    assert broker.run("quota", "set", "User:alice", "producer_byte_rate=1000")[0] == 0
    commit(broker, "readers", "orders", p0=2)
    return broker


def test_what_is_tried_is_told_and_nothing_changes():
    with prepared() as broker:
        before = state(broker)
        for words, said in CHANGES:
            code, out, err = broker.run(*words, "--dry-run", stdin=b"a-password\n")
            assert code == 0 and said in out, (words, code, out, err)
            assert b"nothing was changed" in out or b"no key" in out, (words, out)
            told = broker.run(*words, "--dry-run", "--json", stdin=b"a-password\n")
            assert told[0] == 0 and json.loads(told[1]), (words, told)
        for words, code in REFUSED:
            assert code in broker.run(*words, "--dry-run", "--yes" if words[1] in ("delete", "trim") else "--json", stdin=b"x\n")[2], words
        for place, after in (("start", "0"), ("+1", "1"), ("-1", "2"), ("+99", "3")):
            moves = broker.json("plugin", "seek", "stage", "--to", place, "--dry-run")["moves"]
            assert [move["after"] for move in moves if move["partition"] == 0] == [after], (place, moves)
        path = os.path.join(broker.home, "other.lua")
        with open(path, "w") as file:
            file.write(STAGE.replace('"stage"', '"other"'))
        code, out, err = broker.run("plugin", "load", path, "--dry-run")
        assert code == 0 and b"other.lua would be put into" in out, (out, err)
        assert state(broker) == before
        # what knows no trying says so, and does nothing
        assert broker.ask("produce", topic="orders", records=[{"value": "x"}], dry_run=True) is None
        assert broker.ask("scrub", start=True, dry_run=True) is None
        assert state(broker) == before


load_tests = loader(globals())
