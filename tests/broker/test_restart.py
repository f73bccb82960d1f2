"""What is left after a stop and after kill -9: records, offsets, positions of groups."""
import os

from sluice_broker import Broker, loader, wait_for

NEEDS = ("frontend_kafka",)

LINES = ["line %d" % i for i in range(100)]


def check(end):
    """Produces, ends the broker one way, and looks at what it finds."""
    with Broker() as broker:
        broker.produce("kept", LINES, "-X", "enable.idempotence=true")
        broker.produce("other", ["x"])
        read = broker.kcat("-G", "reader", "-c", "40", "-q", "-X", "auto.offset.reset=earliest",
                           "kept")
        assert read == LINES[:40], read[:3]
        end(broker)
        broker.start()
        assert broker.consume("kept") == LINES
        broker.produce("kept", ["after"])
        assert broker.consume("kept") == LINES + ["after"]
        assert broker.consume("other") == ["x"]
        more = broker.kcat("-G", "reader", "-c", "61", "-q", "-X", "auto.offset.reset=earliest",
                           "kept")
        assert more == LINES[40:] + ["after"], more[:3]


def test_a_stop_keeps_everything():
    check(lambda broker: broker.stop())


def test_kill_9_keeps_everything_that_was_acknowledged():
    check(lambda broker: broker.crash())


def test_kill_9_again_and_again_keeps_everything():
    with Broker() as broker:
        for i in range(10):
            broker.produce("again", ["round %d" % i])
            broker.crash()
            broker.start()
        assert broker.consume("again") == ["round %d" % i for i in range(10)]


def test_shards_that_recover_together_agree_on_topics():
    """Those that came or went after the last checkpoint are known from shard 0's log alone."""
    with Broker("runtime.shards=3") as broker:
        broker.produce("early", LINES)
        broker.produce("gone", LINES)
        assert broker.stop() == 0
        broker.start()
        for i in range(6):
            broker.produce("late-%d" % i, ["line %d" % i])
        code, _, err = broker.run("topic", "delete", "--yes", "gone")
        assert code == 0, err
        broker.crash()
        broker.start()
        assert broker.consume("early") == LINES
        for i in range(6):
            assert broker.consume("late-%d" % i) == ["line %d" % i]
        broker.produce("gone", ["again"])
        assert broker.consume("gone") == ["again"]


def test_a_shard_0_that_refuses_lets_no_other_one_serve():
    with Broker("runtime.shards=2") as broker:
        broker.produce("kept", LINES)
        assert broker.stop() == 0
        wal = os.path.join(broker.home, "data", "shard-0", "wal")
        for name in os.listdir(wal):
            if name.startswith("checkpoint"):
                os.unlink(os.path.join(wal, name))
            elif name.endswith(".seg"):
                with open(os.path.join(wal, name), "r+b") as file:
                    file.write(b"no segment any more")
        broker.spawn()
        wait_for(lambda: "no listener is opened" in broker.log(), "the refusal")
        assert broker.log().count("shard refuses to serve") == 2, broker.log()


def test_a_stop_is_clean_and_quick():
    with Broker() as broker:
        broker.produce("kept", LINES)
        assert broker.stop() == 0


load_tests = loader(globals())
