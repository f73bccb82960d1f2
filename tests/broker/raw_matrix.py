#!/usr/bin/python3
"""raw_matrix.py [--write]: every advertised call × version × {minimal, full, unknown tagged fields, trailing bytes,
wrong topic, no rights, cut at every byte}, made from ApiVersions and the tables of the codec; prints the table of
docs/reference/kafka.md, or writes it. With kafka.legacy: true all of it again: the versions that come with it are a table of
their own, all others must answer as without it.

What is answered must be an answer of its version to the last byte. A request that is cut, in its header or its body, must
close its connection without a byte, as Apache Kafka closes it. SLUICE_BUILD_DIR says which broker."""
import os
import socket
import struct
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compare"))
import kafka_batch  # noqa: E402
import kafka_wire  # noqa: E402
from sluice_broker import SOURCE, WAIT_S, Broker  # noqa: E402

DOCUMENT = os.path.join(SOURCE, "docs", "reference", "kafka.md")
AT_ONCE = 200  # connections
UNKNOWN = [(60, b"unknown"), (1000, b"")]  # tagged fields that nobody has
TOPIC, ABSENT, ABSENT_ID = "there", "not-there", bytes(range(16))
VALUES = {  # what a field has in a full request, where 1, "x" and true would end too early or harm the matrix itself
    "acks": -1, "resource_type": 2, "resource_type_filter": 2, "pattern_type_filter": 3, "resource_pattern_type": 3, "operation": 3,
    "permission_type": 3, "timeout_ms": 1000, "session_epoch": -1, "session_id": 0, "replica_id": -1, "broker_id": 9, "producer_id": 4242,
    "v3_and_below_producer_id": 4242, "partition_index": 0, "partition": 0, "index": 0, "timestamp": -1, "validate_only": True,
    "partition_indexes": 0, "replication_factor": 1, "client_software_name": "matrix", "client_software_version": "1",
    "current_leader_epoch": -1, "voter_id": 9, "min_bytes": 0, "max_bytes": 1000, "partition_max_bytes": 1000, "assignments": None,
    "mechanism": "PLAIN", "entity_type": "user", "match_type": 0, "key": "producer_byte_rate"}
AUTHORIZATION = {29, 30, 31, 53, 65}
PARTITIONS = {"partitions", "partition_indexes"}


def names_of_errors():
    with open(os.path.join(SOURCE, "tests", "data", "kafka", "errors.tsv")) as file:
        return {int(code): name for code, name in (line.split() for line in list(file)[1:])}


def message_set(magic):
    """One message of the form before record batches, for Produce below version 3."""
    body = bytes([magic, 0]) + (struct.pack(">q", 1) if magic else b"") + struct.pack(">i3si5s", 3, b"key", 5, b"value")
    return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body


def full(fields, version, topic, topic_id, parent=""):
    """Every field of the version with something in it."""
    values = {}
    for field in fields:
        if not field.first <= version <= field.last:
            continue
        if field.array and field.name in VALUES and VALUES[field.name] is None:
            continue  # as it is by default
        one = value_of(field, version, topic, topic_id, parent)
        values[field.name] = [one] if field.array else one
    return values


def is_topic(field, parent):
    return (field.name in ("topic", "topic_name", "topic_names", "resource_name")
            or (field.name == "name" and "topic" in parent and field.kind == "string"))


def value_of(field, version, topic, topic_id, parent):
    if field.fields is not None:
        return full(field.fields, version, topic, topic_id, field.kind)
    if is_topic(field, parent):
        return topic
    if field.kind == "uuid":
        return topic_id if "topic" in field.name else bytes(range(1, 17))
    if field.kind == "records":
        return kafka_batch.batch([("key", "value")])
    if field.kind in kafka_wire.NUMBERS and field.name in PARTITIONS:
        return 0
    given = VALUES.get(field.name)
    if given is not None and type(given) is {"bool": bool, "string": str}.get(field.kind, int):
        return given
    return {"bool": True, "string": "x", "bytes": b"\0\1"}.get(field.kind, 1)


def has_topics(fields, version, parent=""):
    return any(field.first <= version <= field.last
               and (is_topic(field, parent) or field.name == "topic_id"
                    or (field.fields is not None and has_topics(field.fields, version, field.kind))) for field in fields)


def errors_in(values, found=None):
    """Every error code that the answer has anywhere."""
    found = set() if found is None else found
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                errors_in(one, found)
            elif "error_code" in name and isinstance(one, int):
                found.add(one)
    return found


class Ended(Exception):
    """The broker closed the connection."""


class Line:
    """A connection that is made anew when the broker has closed it."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def ask(self, frame):
        """The answer, or None: closed instead."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        try:
            self.socket.sendall(struct.pack(">i", len(frame)) + frame)
            return self.exactly(struct.unpack(">i", self.exactly(4))[0])
        except (Ended, ConnectionError):
            self.close()
            return None

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise Ended
            data += part
        return data

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Matrix:
    def __init__(self, broker, may_create=True, legacy=False):
        self.may_create, self.legacy = may_create, legacy
        self.broker, self.line, self.problems = broker, Line(broker.kafka), []
        answer = self.call("ApiVersions", 0, {})
        self.apis = [(table, max(row["min_version"], self.lowest(table)), row["max_version"]) for row in answer["api_keys"]
                     for table in kafka_wire.tables().values() if table.key == row["api_key"]]
        missing = {row["api_key"] for row in answer["api_keys"]} - {table.key for table, _, _ in self.apis}
        assert not missing, "advertised, and no table: %s" % missing

    def lowest(self, table):
        return table.legacy if self.legacy and table.legacy is not None else table.first

    def call(self, name, version, values):
        return kafka_wire.answer_of(name, version, self.line.ask(kafka_wire.frame(name, version, values)))

    def make_topic(self, name):
        self.call("CreateTopics", 5, {"topics": [{"name": name, "num_partitions": 1, "replication_factor": 1}], "timeout_ms": 10000})
        return self.call("Metadata", 10, {"topics": [{"name": name}]})["topics"][0]["topic_id"]

    def outcome(self, table, version, frame, what):
        if table.name.startswith("Sasl"):  # a login that failed ends its connection behind the answer
            self.line.close()
        data = self.line.ask(frame)
        if data is None:
            return "closes"
        try:
            if data[:4] != frame[4:8]:
                raise AssertionError("the answer to another request")
            answer = kafka_wire.answer_of(table.name, version, data)
        except AssertionError as error:
            self.problems.append("%s v%d %s: %s" % (table.name, version, what, error))
            return "another schema"
        return tuple(sorted(errors_in(answer)))

    def values(self, table, version, absent=False):
        name, topic_id = (ABSENT, ABSENT_ID) if absent else (TOPIC, self.topic_id)
        if table.name == "DeleteTopics" and not absent and self.may_create:  # each its own
            name = "deleted-%d" % version
            topic_id = self.make_topic(name)
        values = full(table.request, version, name, topic_id)
        if table.name == "CreateTopics":
            values["topics"][0].update(name="made-%d" % version, configs=[])
        if table.name == "OffsetCommit" and version == 0:
            values["group_id"] = "old"  # it comes to be: it knows of no generation that would be wrong
        if table.name == "Produce" and version < table.first:
            values["topic_data"][0]["partition_data"][0]["records"] = message_set(int(version == 2))
        for topic in values.get("topics", []) if table.name in ("DeleteTopics", "Metadata") else []:
            if isinstance(topic, dict) and "topic_id" in topic:
                del topic["topic_id"]  # one or the other
        return values

    def rights(self, topic_id):
        """What is said to one who may do nothing, by call and version."""
        self.topic_id, found = topic_id, {}
        for table, first, last in self.apis:
            for version in range(first, last + 1):
                frame = kafka_wire.frame(table.name, version, self.values(table, version))
                found[table.name, version] = self.outcome(table, version, frame, "no rights")
        return found

    def run(self):
        """Rows: table, version, outcomes by name."""
        self.topic_id = self.make_topic(TOPIC)
        rows, cut = [], []
        for table, first, last in self.apis:
            for version in range(first, last + 1):
                rows.append((table, version, self.one(table, version)))
                frame = kafka_wire.frame(table.name, version, full(table.request, version, TOPIC, self.topic_id))
                if not self.legacy or version < table.first:
                    cut += [(table.name, version, frame[:at]) for at in range(len(frame))]
        self.line.close()
        self.cuts = len(cut)
        for at in range(0, len(cut), AT_ONCE):
            self.cut(cut[at:at + AT_ONCE])
        return rows

    def one(self, table, version):
        minimal = {"acks": -1} if table.name == "Produce" else {}
        found = {"minimal": self.outcome(table, version, kafka_wire.frame(table.name, version, minimal), "minimal")}
        values = self.values(table, version)
        found["full"] = self.outcome(table, version, kafka_wire.frame(table.name, version, values), "full")
        if table.is_flexible(version):
            tags = {"tagged": UNKNOWN, "header_tagged": UNKNOWN, "inner": UNKNOWN}
            found["tags"] = self.outcome(table, version, kafka_wire.frame(table.name, version, values, **tags), "unknown tags")
        frame = kafka_wire.frame(table.name, version, values)
        found["trailing"] = self.outcome(table, version, frame + b"\0\1\2", "trailing bytes")
        if has_topics(table.request, version) and table.name != "CreateTopics":
            found["wrong topic"] = self.outcome(table, version, kafka_wire.frame(table.name, version, self.values(table, version, True)),
                                                "wrong topic")
        return found

    def cut(self, some):
        """All of them at once: each must end without a byte."""
        lines = []
        for _, _, frame in some:
            line = socket.create_connection(("127.0.0.1", self.broker.kafka), timeout=WAIT_S)
            line.sendall(struct.pack(">i", len(frame)) + frame)
            lines.append(line)
        for line, (name, version, frame) in zip(lines, some):
            try:
                data = line.recv(1)
            except ConnectionResetError:
                data = b""
            except socket.timeout:
                data = None
            if data != b"":
                self.problems.append("%s v%d cut to %d bytes: %s" % (name, version, len(frame), "no end" if data is None else "an answer"))
            line.close()


# ---- the table ----

def words(outcome, names):
    if isinstance(outcome, str):
        return outcome
    real = [names.get(code, str(code)) for code in outcome if code != 0]
    return ", ".join((["answers"] if 0 in outcome or not outcome else []) + real)


def lines_of(rows, rights):
    """One line for versions that answer alike."""
    names, found = names_of_errors(), []
    for table, version, outcomes in rows:
        told = {what: words(outcome, names) for what, outcome in outcomes.items()}
        steady = all(told.get(what, "answers") not in ("closes", "another schema") for what in ("tags", "trailing"))
        cells = (told["minimal"], told["full"], told.get("wrong topic", ""), words(rights[(table.name, version)], names),
                 "answered" if steady else "%s / %s" % (told.get("tags", ""), told.get("trailing", "")))
        if found and found[-1][0] is table and found[-1][3] == cells:
            found[-1][2] = version
        else:
            found.append([table, version, version, cells])
    return ["| %d %s | %s | %s |" % (table.key, table.name, first if first == last else "%d–%d" % (first, last), " | ".join(cells))
            for table, first, last, cells in found]


HEAD = """# Kafka's calls, as Sluice answers them

Generated by `tests/broker/raw_matrix.py --write`, and checked by `tests/broker/test_raw_matrix.py`: a request of each call and
version with nothing in it, with every field filled (a topic that is there, a group that is not), with a topic that is not there, and
from a client without any right. "answers" is an answer without an error, else its errors. The last column is of the full
request with unknown tagged fields in its header and every struct, and with bytes behind its end: both must be answered. The
full request cut at every byte, header and body, closes its connection without an answer, as Apache Kafka does; so does a call or a
version that is not in this table, except a too new ApiVersions, which is answered in version 0 with UNSUPPORTED_VERSION.
Field by field against Apache Kafka: [kafka-differences](kafka-differences.md).

| call | versions | with nothing in it | full | wrong topic | no rights | unknown tags, trailing bytes |
|---|---|---|---|---|---|---|
"""


LEGACY_HEAD = """
## With `kafka.legacy: true`

What [older clients](../legacy.md) speak comes to it; every row above is the same.

| call | versions | with nothing in it | full | wrong topic | no rights | unknown tags, trailing bytes |
|---|---|---|---|---|---|---|
"""


def measure_one(legacy):
    """Rows, what is said without rights, what is wrong, how many requests were cut."""
    settings = ["core.topics.auto_create=false", "telemetry.topic=telemetry"] + ["kafka.legacy=true"] * legacy
    with Broker(*settings) as broker:
        topic_id = Matrix(broker).make_topic(TOPIC)
        broker.stop()
        broker.settings.append("security.authorization=true")
        broker.start()
        rights = Matrix(broker, False, legacy).rights(topic_id)
    with Broker(*settings) as broker:
        matrix = Matrix(broker, True, legacy)
        rows = matrix.run()
        assert broker.is_running(), broker.log()[-2000:]
        assert Matrix(broker).apis, "it still answers"
    for (name, version), outcome in rights.items():
        if not isinstance(outcome, str) and not AUTHORIZATION & set(outcome) and name not in OPEN and (name, version) not in OPEN:
            matrix.problems.append("%s v%d without rights: %s" % (name, version, outcome))
    return rows, rights, matrix.problems, matrix.cuts


def measure():
    """Lines of both tables, what is wrong, and how many requests were cut."""
    rows, rights, problems, cuts = measure_one(False)
    more, more_rights, more_problems, more_cuts = measure_one(True)
    known = {(table.name, version): outcomes for table, version, outcomes in rows}
    changed = ["%s v%d is another one with kafka.legacy" % (table.name, version) for table, version, outcomes in more
               if version >= table.first and known.get((table.name, version)) != outcomes]
    changed += ["%s v%d is refused otherwise with kafka.legacy" % key for key, outcome in rights.items() if more_rights.get(key) != outcome]
    legacy = lines_of([row for row in more if row[1] < row[0].first], more_rights)
    return lines_of(rows, rights), legacy, problems + more_problems + changed, cuts + more_cuts


# What everybody may ask: what they get is only what they may see.
OPEN = {"ApiVersions", "SaslHandshake", "SaslAuthenticate", "ListGroups", "ListTransactions", "DescribeCluster",
        "GetTelemetrySubscriptions", "PushTelemetry",  # the broker writes what clients push
        "CreateDelegationToken", "RenewDelegationToken", "ExpireDelegationToken", "DescribeDelegationToken",  # there are none
        ("DescribeLogDirs", 1), ("DescribeLogDirs", 2)}  # say it by an empty list, as in Apache Kafka


def main():
    start = time.monotonic()
    lines, legacy, problems, cuts = measure()
    text = HEAD + "\n".join(lines) + "\n" + LEGACY_HEAD + "\n".join(legacy) + "\n"
    if "--write" in sys.argv:
        with open(DOCUMENT, "w") as file:
            file.write(text)
    else:
        print(text)
    print("\n".join(problems[:50]))
    print("%d requests were cut, %d problems, %.1f s" % (cuts, len(problems), time.monotonic() - start))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
