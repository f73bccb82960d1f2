"""What is left after a stop and after kill -9: records, offsets, positions of groups."""
from sluice_broker import Broker, loader

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


def test_a_stop_is_clean_and_quick():
    with Broker() as broker:
        broker.produce("kept", LINES)
        assert broker.stop() == 0


load_tests = loader(globals())
