"""Limits of listeners: the newest connection beyond one is refused, who is too slow is closed, and both are counted."""
import os
import struct

from kafka_wire import call, frame
from sluice_broker import Broker, Raw, free_port, loader, wait_for
from test_compaction import metric
from test_quotas import alter, entity, make_topic, produce


def refused(broker, cause, listener="kafka"):
    return metric(broker, 'sluice_listener_refused_total{listener="%s",cause="%s"}' % (listener, cause))


def serves(connection):
    """Whether the broker answers, or has closed the connection."""
    try:
        call(connection, "ApiVersions", 0)
        return True
    except (EOFError, OSError):
        return False


def test_beyond_the_connections_of_a_listener_the_newest_is_refused():
    with Broker("kafka.connections_max=3") as broker:
        first = [broker.connect() for _ in range(3)]
        assert all(serves(one) for one in first)
        with broker.connect() as late:
            assert not serves(late)
        assert all(serves(one) for one in first)
        wait_for(lambda: refused(broker, "connections") >= 1, "a refusal that is counted")
        first.pop().socket.close()

        def again():
            with broker.connect() as next_one:
                return serves(next_one)
        wait_for(again, "a place for another one")
        for one in first:
            one.socket.close()


def test_each_listener_and_each_address_has_its_own_bound():
    port = free_port()
    with Broker("kafka.listeners.inside.listen=127.0.0.1:%d" % port, "kafka.listeners.inside.max_connections_per_address=1") as broker:
        with Raw(port) as one, Raw(port) as two:
            assert serves(one) and not serves(two)
            with broker.connect() as here, broker.connect() as also:
                assert serves(here) and serves(also)
        wait_for(lambda: refused(broker, "connections_of_address", "inside") >= 1, "a refusal that is counted")
        assert refused(broker, "connections_of_address") == 0


def test_a_bound_changes_by_a_reload():
    broker = Broker(start=False)
    path = os.path.join(broker.home, "sluice.yaml")
    broker.extra = ["--config", path]
    try:
        for bound in (1, 2):
            with open(path, "w") as file:
                file.write("kafka: {connections_per_address_max: %d}\n" % bound)
            if broker.process is None:
                broker.start()
            else:
                code, out, err = broker.run("reload")
                assert code == 0, (out, err)
            with broker.connect() as one, broker.connect() as two:
                assert serves(one) and serves(two) == (bound == 2)
    finally:
        broker.close()


def test_an_address_that_connects_too_often_is_refused():
    with Broker() as broker, broker.connect() as admin:
        alter(admin, entity(ip="127.0.0.1"), connection_creation_rate=1.0)

        def one_more():
            with broker.connect() as connection:
                return not serves(connection)
        wait_for(one_more, "a connection that is refused", every_s=0)
        alter(admin, entity(ip="127.0.0.1"), connection_creation_rate=None)
        assert not one_more()
        wait_for(lambda: refused(broker, "connection_rate") >= 1, "a refusal that is counted")


def test_a_request_that_does_not_come_to_its_end_closes_its_connection_and_no_other():
    with Broker("kafka.request_timeout=100 ms") as broker, broker.connect() as patient, broker.connect() as slow:
        assert serves(patient)
        body = frame("ApiVersions", 0, {})
        slow.send(struct.pack(">i", len(body)) + body[:5])
        assert slow.is_closed()
        wait_for(lambda: refused(broker, "slow_request") == 1, "a refusal that is counted")
        assert serves(patient)


def test_a_reader_that_does_not_read_is_closed():
    with Broker("kafka.answer_timeout=100 ms") as broker, broker.connect() as raw, broker.connect() as greedy:
        make_topic(raw)
        for _ in range(4):
            produce(raw, 900000)
        topics = [{"topic": "t", "partitions": [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 24}]}]
        wanted = {"replica_id": -1, "max_wait_ms": 0, "min_bytes": 0, "max_bytes": 1 << 24, "session_epoch": -1, "topics": topics}
        for _ in range(8):
            greedy.send_frame(frame("Fetch", 11, wanted))
        wait_for(lambda: refused(broker, "slow_reader") == 1, "a refusal that is counted")
        assert serves(raw)


def test_a_login_that_does_not_come_to_its_end_closes_its_connection():
    with Broker("kafka.login_timeout=300 ms", "kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256") as broker:
        assert broker.run("user", "add", "alice", stdin=b"a\n")[0] == 0
        with broker.connect() as silent, broker.connect() as halfway:
            assert call(halfway, "SaslHandshake", 1, {"mechanism": "SCRAM-SHA-256"})["error_code"] == 0
            assert call(halfway, "SaslAuthenticate", 2, {"auth_bytes": b"n,,n=alice,r=abc"})["error_code"] == 0
            assert halfway.is_closed() and silent.is_closed()
        wait_for(lambda: refused(broker, "slow_login") == 2, "refusals that are counted")

        def logged_in():  # on a busy machine it may take longer than it has
            raw = broker.connect()
            try:
                call(raw, "SaslHandshake", 1, {"mechanism": "PLAIN"})
                assert call(raw, "SaslAuthenticate", 2, {"auth_bytes": b"\0alice\0a"})["error_code"] == 0
                return raw
            except (EOFError, OSError):
                return None
        with wait_for(logged_in, "a login in time") as done:
            with broker.connect() as late:
                assert late.is_closed()
            assert serves(done), "who has logged in stays"


def test_a_listener_that_names_a_limit_that_there_is_not_does_not_start():
    for limit, value in (("max_connections", "many"), ("read_buffer_bytes", 1), ("max_connection", 1)):
        broker = Broker("kafka.listeners.x.listen=127.0.0.1:%d" % free_port(), "kafka.listeners.x.%s=%s" % (limit, value), start=False)
        try:
            broker.spawn()
            wait_for(lambda: not broker.is_running(), "a broker that does not start")
            assert limit in broker.log(), broker.log()
        finally:
            broker.close()


load_tests = loader(globals())
