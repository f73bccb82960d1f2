"""Scenarios: requests as data, played to a broker; its answers in a form that can be compared.

    # what this is about
    secured                                      clients log in: connection `admin` as a super user, others by their name
    Metadata 0-13 {"topics": [{"name": "t"}]}    one call for each of these versions; "*": all that Apache Kafka 4.3 has
        continued, when indented by more than 2
      save tid topics[t].topic_id                what the answer has there is $tid from here on
      until topics[t].error_code 0               asked again until the answer says so
      unseen                                     only its effects are compared
    alice: Fetch 12 {…}                          on another connection
    a> JoinGroup 5 {…}                           sent; its answer is read later,
    a<                                           here

In values "$name" is what was saved, and within a text $v is the version (names of groups and topics that each version
needs for itself); {"batch": [["key", "value"]…], …} are the arguments of kafka_batch.batch; {"hex": "00ff"} bytes. A
field that a version does not have is left out, so one line serves versions by name and by id.

Normal form: arrays of structs are keyed by the name in them; what a broker makes up (ids, ports, hosts, times, words of
error messages) becomes a word for it, or the name under which a scenario saved it."""
import json
import re
import socket
import struct
import time

import kafka_batch
import kafka_wire
import sluice_broker
from compare_brokers import PASSWORDS

KEYS = (  # what an entry of an array is called, the first that it has
    ("api_key",), ("transactional_id",), ("topic_name",), ("topic",), ("name",), ("topic_id",), ("partition_index",), ("partition",), ("index",),
    ("group_id",), ("coordinator_key",), ("key",), ("resource_type", "resource_name", "pattern_type"), ("resource_name",), ("node_id",), ("broker_id",),
    ("principal", "host", "operation", "permission_type"), ("member_id", "group_instance_id"), ("user",), ("mechanism",), ("base_offset",),
    ("producer_id",), ("entity_type",), ("entity",), ("log_dir",), ("replica_id",))
HOSTS, PORTS = {"host", "client_host"}, {"port"}
ANSWER_S = 8  # above every time that a broker waits
DAY_MS = 86400000


class Step:
    def __init__(self, head, text, place):
        self.place, self.saves, self.until, self.unseen, self.mode, self.connection = place, [], None, False, "call", "admin"
        match = re.match(r"(?:(\w+)([:><])\s*)?(?:(\w+)\s+(\S+))?", head)
        if match.group(1):
            self.connection, self.mode = match.group(1), {":": "call", ">": "send", "<": "read"}[match.group(2)]
        self.api, self.versions = match.group(3), match.group(4)
        try:
            self.values = json.loads(text) if text else {}
        except ValueError as error:
            raise SystemExit("%s: %s" % (place, error))
        self.label = None

    def range(self, table):
        first, last = served(table)
        if self.versions == "*":
            return range(first, last + 1)
        if self.versions == "last":
            return [last]
        low, _, high = self.versions.partition("-")
        return range(int(low), min(last, int(high or low)) + 1)


def served(table):
    return table.first, table.last


class Scenario:
    def __init__(self, path, name):
        self.name, self.steps, self.secured = name, [], False
        with open(path) as file:
            self.parse([line.rstrip() for line in file], path)
        counts, pending = {}, {}
        for step in self.steps:
            if step.mode == "read":
                step.label = pending.pop(step.connection)
                continue
            counts[step.api] = counts.get(step.api, 0) + 1
            step.label = "%s#%d" % (step.api, counts[step.api])
            if step.mode == "send":
                pending[step.connection] = step.label

    def parse(self, lines, path):
        at = 0
        while at < len(lines):
            line, place = lines[at], "%s:%d" % (path, at + 1)
            at += 1
            if not line or line.startswith("#"):
                continue
            if line == "secured":
                self.secured = True
                continue
            head, brace, text = line.partition("{")
            text = brace + text
            while at < len(lines) and lines[at].startswith("   "):
                text += lines[at].strip()
                at += 1
            step = Step(head.strip(), text, place)
            while at < len(lines) and lines[at].startswith("  ") and lines[at].strip():
                word, _, rest = lines[at].strip().partition(" ")
                at += 1
                if word == "save":
                    step.saves.append(tuple(rest.split(None, 1)))
                elif word == "until":
                    path_wanted, _, value = rest.rpartition(" ")
                    step.until = (path_wanted, value)
                elif word == "unseen":
                    step.unseen = True
                else:
                    raise SystemExit("%s: what is '%s'?" % (place, word))
            self.steps.append(step)


class Closed(Exception):
    """The broker closed the connection instead of an answer."""


class Line:
    """A connection, logged in where that is needed."""

    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        if user is not None:
            self.call("SaslHandshake", 1, {"mechanism": "PLAIN"})
            self.call("SaslAuthenticate", 2, {"auth_bytes": b"\0%s\0%s" % (user.encode(), PASSWORDS[user].encode())})

    def send(self, frame):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            data += part
        return data

    def read(self):
        return self.read_exactly(struct.unpack(">i", self.read_exactly(4))[0])

    def call(self, name, version, values):
        self.send(kafka_wire.frame(name, version, values))
        return kafka_wire.answer_of(name, version, self.read())


class Player:
    """Plays scenarios to one broker. `ask` is what the broker advertises."""

    def __init__(self, broker):
        self.broker = broker
        self.lines, self.epoch = {}, broker.epoch

    def line(self, name, secured):
        port = self.broker.ports["secured" if secured else "main"]
        if name not in self.lines:
            self.lines[name] = Line(port, (name if name in PASSWORDS else "admin") if secured else None)
        return self.lines[name]

    def drop(self, name):
        self.lines.pop(name).socket.close()

    def play(self, scenario, apis):
        """label and version → (request, answer in normal form)."""
        self.saved, self.sent, out = {"epoch": self.epoch}, {}, {}
        self.now_ms = int(time.time() * 1000)
        for step in scenario.steps:
            if step.mode == "read":
                for key, item in self.sent.pop(step.connection):
                    out[key] = (item[0], self.finish(step, *item))
                continue
            table = kafka_wire.tables().get(step.api)
            if table is None or table.key not in apis:
                continue
            for version in step.range(table):
                key = "%s v%d" % (step.label, version)
                request = json.dumps(replace(step.values, {"v": str(version)}), sort_keys=True)
                self.saved["v"] = str(version)
                frame = kafka_wire.frame(step.api, version, kept(table.request, self.filled(step.values), version))
                self.line(step.connection, scenario.secured).send(frame)
                if step.mode == "send":
                    self.sent.setdefault(step.connection, []).append((key, (request, step, version, frame, scenario.secured)))
                else:
                    answer = self.finish(step, request, step, version, frame, scenario.secured)
                    if not step.unseen:
                        out[key] = (request, answer)
        for name in list(self.lines):
            self.drop(name)
        return out

    def finish(self, _, request, step, version, frame, secured):
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                if step.api == "Produce" and step.values.get("acks", 0) == 0:
                    return self.nothing(step.connection)
                values = kafka_wire.answer_of(step.api, version, self.line(step.connection, secured).read())
            except Closed:
                self.drop(step.connection)
                return {"": "closes the connection"}
            except socket.timeout:
                self.drop(step.connection)
                return {"": "no answer"}
            except AssertionError as error:
                return {"": "an answer in another schema: %s" % error}
            answer = self.normal(kafka_wire.tables()[step.api].response, values, version)
            if step.until is None or str(flat(answer).get(replace(step.until[0], {"v": str(version)}))) == step.until[1]:
                break
            if time.monotonic() > deadline:
                raise SystemExit("%s v%d: %s never became %s: %s" % (step.place, version, *step.until, answer))
            time.sleep(0.1)
            self.line(step.connection, secured).send(frame)
        self.settle(step, values, secured)
        for name, path in step.saves:
            value = dig(values, replace(path, {"v": str(version)}))
            if value is not None:
                self.saved[replace(name, {"v": str(version)})] = value
        # Once more, now that what it saved has a name.
        return flat(self.normal(kafka_wire.tables()[step.api].response, values, version))

    def settle(self, step, values, secured):
        """Apache Kafka says that a topic is made, or gone, before that is so everywhere."""
        if step.api == "CreateTopics" and not step.values.get("validate_only"):
            for topic in values["topics"]:
                if topic["error_code"] == 0:
                    self.await_topic(topic["name"], True, secured)
        elif step.api == "CreatePartitions" and not step.values.get("validate_only"):
            for topic, wanted in zip(values["results"], self.filled(step.values).get("topics", [])):
                if topic["error_code"] == 0:
                    self.await_topic(topic["name"], True, secured, wanted["count"])
        elif step.api == "DeleteTopics":
            for topic in values["responses"]:
                if topic["error_code"] == 0 and topic["name"]:
                    self.await_topic(topic["name"], False, secured)

    def await_topic(self, name, there, secured, count=1):
        line = self.line("admin", secured)

        def settled():
            topic, = line.call("Metadata", 9, {"topics": [{"name": name}], "allow_auto_topic_creation": False})["topics"]
            if not there:
                return topic["error_code"] == 3
            if topic["error_code"] != 0 or len(topic["partitions"]) < count:
                return False
            asked = [{"partition_index": one["partition_index"], "timestamp": -1} for one in topic["partitions"]]
            found = line.call("ListOffsets", 5, {"replica_id": -1, "topics": [{"name": name, "partitions": asked}]})
            return all(one["error_code"] == 0 for one in found["topics"][0]["partitions"])

        sluice_broker.wait_for(settled, "the topic %s to be %s" % (name, "there" if there else "gone"))

    def nothing(self, connection):
        """Acks 0: no answer is the answer; that it was read is seen by an ApiVersions behind it."""
        line = self.lines[connection]
        line.send(kafka_wire.frame("ApiVersions", 0, {}, correlation_id=99))
        try:
            data = line.read()
        except Closed:
            self.drop(connection)
            return {"": "closes the connection"}
        return {"": "nothing" if data[:4] == struct.pack(">i", 99) else "an answer"}

    def filled(self, value):
        """With what was saved in its place."""
        if isinstance(value, dict):
            if "batch" in value:
                more = {key: self.filled(held) for key, held in value.items() if key != "batch"}
                return kafka_batch.batch([tuple(entry) for entry in value["batch"]], **more)
            if "batches" in value:
                return b"".join(self.filled(one) for one in value["batches"])
            if "messages" in value:
                return kafka_batch.message_set(value["messages"], value.get("magic", 1))
            if "hex" in value:
                return bytes.fromhex(value["hex"])
            return {key: self.filled(held) for key, held in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return replace(value, self.saved)

    def normal(self, fields, values, version, parent=""):
        named = {value: "$" + name for name, value in self.saved.items() if name != "v" and isinstance(value, (str, bytes, int)) and value not in (0, -1, "", b"", 1)}
        out = {}
        for field in fields:
            if not field.first <= version <= field.last:
                continue
            value = values[field.name]
            if field.name == "log_dir" and value:
                value = "folder"
            if field.array and value is not None and field.fields is not None:
                out[field.name] = keyed([self.normal(field.fields, one, version, field.name) for one in value])
            elif field.fields is not None and value is not None:
                out[field.name] = self.normal(field.fields, dict(defaults(field.fields), **value), version, field.name)
            elif field.array and value is not None:
                words = [self.word(field, one, named, parent) for one in value]
                out[field.name] = sorted(words, key=str) if words != [] else words
            else:
                out[field.name] = self.word(field, value, named, parent)
        return out

    def word(self, field, value, named, parent):
        if value is None or isinstance(value, bool):
            return value
        if field.kind == "records":
            return keyed([{key: self.word(Kind(key), held, named, parent) for key, held in one.items()} for one in kafka_batch.describe(value)])
        if field.name in HOSTS:
            return "host"
        if field.name in ("usable_bytes", "total_bytes", "finalized_features_epoch") and value > 0:
            return "some"
        if field.name in PORTS:
            return "port"
        if "error_message" in field.name:
            return "words" if value not in ("", "NONE") else None
        if field.name == "log_dir":
            return "folder"
        if field.name == "cluster_id":
            return "cluster"
        if field.name == "producer_id" and value >= 0:  # 0 is one too; saved as pid…
            return next(("$" + name for name, held in self.saved.items() if name.startswith("pid") and held == value), "a producer")
        if isinstance(value, (str, bytes)) or field.kind == "int64":
            if value in named:
                return named[value]
        if field.name.endswith("leader_epoch") and value == self.epoch:
            return "$epoch"
        if field.kind == "uuid":
            return "no id" if value == kafka_wire.NO_UUID else "id"
        if field.kind == "bytes":
            return value.hex()
        if field.kind in ("int32", "string") and field.name in ("session_id", "member_id", "leader", "generation_id") and value in named:
            return named[value]
        if field.name in ("member_id", "leader") and field.kind == "string" and value:
            return "member"
        if field.name == "session_id" and value:
            return "session"
        if field.kind == "int64" and abs(value - self.now_ms) < DAY_MS:
            return "now"
        return value


class Kind:
    """A field of a batch."""

    def __init__(self, name):
        self.name, self.kind, self.array, self.fields = name, "int64" if "time" in name or name == "producer_id" else "int32", False, None


def defaults(fields):
    return {field.name: field.initial() for field in fields}


def kept(fields, values, version):
    """Without what this version does not have."""
    known = {field.name: field for field in fields}
    out = {}
    for name, value in values.items():
        assert name in known, "%s is no field; there are %s" % (name, ", ".join(known))
        field = known[name]
        if not field.first <= version <= field.last:
            continue
        if value is None and field.null_from is not None and version < field.null_from:
            value = [] if field.array else ""
        if field.fields is not None and isinstance(value, list):
            value = [kept(field.fields, one, version) for one in value]
        elif field.fields is not None and isinstance(value, dict):
            value = kept(field.fields, value, version)
        out[name] = value
    return out


def name_of(value):
    """An entity of a quota is named by its parts."""
    if isinstance(value, dict):
        return ",".join("%s=%s" % (part, held["entity_name"]) for part, held in sorted(value.items()))
    return str(value)


def keyed(entries):
    """An array of structs as a dictionary by the names in them."""
    out = {}
    for entry in entries:
        names = next((names for names in KEYS if all(name in entry for name in names)), None)
        key = "/".join(name_of(entry[name]) for name in names) if names else str(len(out))
        while key in out:
            key += "+"
        out[key] = entry
    return out


def flat(value, path=""):
    """{"topics[t].error_code": 0}: leaves by their path."""
    out = {}
    for name, held in value.items():
        at = path + ("." if path else "") + name
        if isinstance(held, dict) and held and all(isinstance(one, dict) for one in held.values()):
            for key, one in held.items():
                out.update(flat(one, "%s[%s]" % (at, key)))
        elif isinstance(held, dict) and held:
            out.update(flat(held, at))
        else:
            out[at] = held if held != {} else []
    return out


def replace(value, names):
    if isinstance(value, dict):
        return {key: replace(held, names) for key, held in value.items()}
    if isinstance(value, list):
        return [replace(one, names) for one in value]
    if not isinstance(value, str):
        return value
    if "v" in names:
        value = re.sub(r"\$v\b", names["v"], value)
    return names[value[1:]] if value.startswith("$") and value[1:] in names else value


def dig(values, path):
    """topics[name].partitions[0].offset of the answer as it came; None where this version has no such field."""
    for name, _, key in re.findall(r"(\w+)(\[([^\]]*)\])?", path):
        if name not in values:
            return None
        values = values[name]
        if _:
            values = next((one for one in values if any(str(held) == key for held in one.values())), None)
            if values is None:
                return None
    return values
