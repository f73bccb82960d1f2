"""Several listeners for Kafka clients: each with its address, its logins, and what clients are told to connect to."""
import socket

try:
    from confluent_kafka import Producer
except ImportError as error:
    MISSING = str(error)

import kafka_wire
from sluice_broker import Broker, Raw, free_port, loader, wait_for


class Reaching(Raw):
    """A raw connection to any address of this machine."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), 30)


def told(port, host="127.0.0.1"):
    """The address of the one node, as a client that reached host:port is told."""
    with Reaching(host, port) as raw:
        node = kafka_wire.call(raw, "Metadata", 1, {"topics": []})["brokers"][0]
    return node["host"], node["port"]


def has_v6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


def test_trap_38_each_listener_tells_an_address_that_the_client_can_reach():
    named, auto = free_port(), free_port()
    settings = ["kafka.listeners.named.listen=127.0.0.1:%d" % named, "kafka.listeners.named.advertised=broker.example:9999",
                "kafka.listeners.all.listen=0.0.0.0:%d" % auto]
    v6 = free_port() if has_v6() else None
    if v6:
        settings += ["kafka.listeners.six.listen=[::1]:%d" % v6, "kafka.listeners.sixes.listen=[::]:%d" % (v6 + 1),
                     "kafka.listeners.sixes.advertised=auto"]
    with Broker(*settings) as broker:
        assert told(broker.kafka) == ("127.0.0.1", broker.kafka)
        assert told(named) == ("broker.example", 9999)
        assert told(auto) == ("127.0.0.1", auto)
        assert told(auto, "127.0.0.2") == ("127.0.0.2", auto), "what the client itself reached"
        if v6:
            assert told(v6, "::1") == ("::1", v6), "without brackets"
            assert told(v6 + 1, "::1") == ("::1", v6 + 1)
            producer = Producer({"bootstrap.servers": "[::1]:%d" % v6})
            producer.produce("six", b"x")
            assert producer.flush(30) == 0
        listeners = [entry["listener"] for entry in broker.json("status")["frontends"] if entry["name"] == "kafka"]
        assert listeners[:3] == ["kafka", "named", "all"], listeners


def test_each_listener_has_logins_of_its_own():
    inside, outside = free_port(), free_port()
    with Broker("kafka.sasl.mechanisms=PLAIN", "security.failed_login_delay=0 s",
                "kafka.listeners.inside.listen=127.0.0.1:%d" % inside, "kafka.listeners.inside.sasl.mechanisms=",
                "kafka.listeners.outside.listen=127.0.0.1:%d" % outside,
                "kafka.listeners.outside.sasl.mechanisms=SCRAM-SHA-256, SCRAM-SHA-512") as broker:
        code, _, err = broker.run("user", "add", "alice", stdin=b"secret\n")
        assert code == 0, err

        def reaches(port, mechanism=None):
            errors = []
            settings = {"bootstrap.servers": "127.0.0.1:%d" % port, "error_cb": lambda error: errors.append(error.code())}
            if mechanism:
                settings.update({"security.protocol": "sasl_plaintext", "sasl.mechanisms": mechanism, "sasl.username": "alice",
                                 "sasl.password": "secret"})
            producer = Producer(settings)
            producer.produce("t", b"x")
            wait_for(lambda: producer.flush(0.1) == 0 or errors, "the record, or a refusal")
            if errors:
                producer.purge()
            return not errors
        assert reaches(inside)
        assert reaches(broker.kafka, "PLAIN")
        assert reaches(outside, "SCRAM-SHA-256")
        assert not reaches(broker.kafka, "SCRAM-SHA-256")
        assert not reaches(outside, "PLAIN")


def test_a_listener_that_cannot_be_is_told_by_its_key():
    for setting, words in (("kafka.listeners.x.advertised=auto", "kafka.listeners.x.listen is missing"),
                           ("kafka.listeners.x.listen=nowhere", "kafka.listeners.x.listen is \"nowhere\""),
                           ("kafka.listeners.x.colour=red", "kafka.listeners.x.colour: a listener has no such key"),
                           ("kafka.listeners.http.listen=127.0.0.1:0", "is neither kafka nor http nor native"),
                           ("kafka.listeners.x.sasl.mechanisms=GSSAPI", '"GSSAPI" is not one of'),
                           ("kafka.advertised=here", "kafka.advertised")):
        broker = Broker(setting, start=False)
        broker.spawn()
        assert broker.process.wait(60) != 0, setting
        assert words in broker.log(), (setting, broker.log())
        broker.close()


load_tests = loader(globals())
