"""Judges a history of clients against what the log holds at the end, in the manner of Jepsen.

events, in the order of each client (a client that was killed and began again is another one):
    {"do": "send", "client": "p1.0", "topic": "plain", "partition": 0, "value": "p1.0-7", "txn": null or number}
    {"do": "ack", "client", "topic", "value", "offset"}        outside of transactions: it is durable
    {"do": "end", "client", "txn", "how": "commit", "abort"}   that is how the transaction ended; without one: unknown
    {"do": "poll", "client", "topic", "records": [[partition, offset, value]…]}     what one poll of a reader gave
log: topic → committed records as [partition, offset, value], in order of offsets; `moved`: (from, to): every committed
record of the one topic is in the other exactly once, in its order.

Anomalies: lost, duplicate, aborted read, torn (a transaction of which a part is seen), reordered, changed, internal skip
(within a poll), external skip (between polls), unmoved."""


def check(events, log, moved=None):
    """Lines, each with the name of its anomaly first."""
    found = []
    places = {topic: places_of(records) for topic, records in log.items()}
    found += duplicates(places)
    found += writes(events, places)
    found += transactions(events, places)
    found += order(events, places)
    for reader in sorted({event["client"] for event in events if event["do"] == "poll"}):
        found += reads([event for event in events if event["do"] == "poll" and event["client"] == reader], log, aborted(events))
    if moved is not None:
        found += moves(log[moved[0]], log[moved[1]])
    return found


def places_of(records):
    """value → [(partition, offset)…]"""
    places = {}
    for partition, offset, value in records:
        places.setdefault(value, []).append((partition, offset))
    return places


def duplicates(places):
    return ["duplicate: %s of %s is at %s" % (value, topic, where) for topic, values in places.items()
            for value, where in values.items() if len(where) > 1]


def writes(events, places):
    found = []
    for event in events:
        if event["do"] == "ack":
            where = places[event["topic"]].get(event["value"])
            if where is None:
                found.append("lost: %s was acknowledged at %d" % (event["value"], event["offset"]))
            elif event["offset"] not in [offset for _, offset in where]:
                found.append("changed: %s was acknowledged at %d and is at %s" % (event["value"], event["offset"], where))
    return found


def by_transaction(events):
    """(client, number) → (sends, how it ended or None)"""
    found = {}
    for event in events:
        if event.get("txn") is not None:
            sends, how = found.get((event["client"], event["txn"]), ([], None))
            if event["do"] == "send":
                sends.append(event)
            found[event["client"], event["txn"]] = (sends, event["how"] if event["do"] == "end" else how)
    return found


def aborted(events):
    return {send["value"] for sends, how in by_transaction(events).values() if how == "abort" for send in sends}


def transactions(events, places):
    found = []
    for (client, number), (sends, how) in by_transaction(events).items():
        seen = [send["value"] for send in sends if send["value"] in places[send["topic"]]]
        name = "transaction %d of %s" % (number, client)
        if how == "commit" and len(seen) < len(sends):
            found.append("lost: %s is committed, and %d of %d are there" % (name, len(seen), len(sends)))
        elif how == "abort" and seen:
            found.append("aborted read: %s is aborted, and there is %s" % (name, seen))
        elif how is None and 0 < len(seen) < len(sends):
            found.append("torn: of %s there are %d of %d" % (name, len(seen), len(sends)))
    return found


def order(events, places):
    """What one client sends to one partition keeps its order."""
    found, last = [], {}
    for event in events:
        if event["do"] != "send":
            continue
        where = places[event["topic"]].get(event["value"])
        key = event["client"], event["topic"], event["partition"]
        if where:
            if where[0][1] < last.get(key, (-1, None))[0]:
                found.append("reordered: %s at %d is behind %s" % (event["value"], where[0][1], last[key][1]))
            last[key] = where[0][1], event["value"]
    return found


def reads(polls, log, never):
    found, at = [], {}
    for poll in polls:
        here = dict.fromkeys({partition for partition, _, _ in poll["records"]}, False)  # whether this poll gave one before
        records = {(partition, offset): value for partition, offset, value in log[poll["topic"]]}
        for partition, offset, value in poll["records"]:
            if value in never:
                found.append("aborted read: %s read %s" % (poll["client"], value))
            elif records.get((partition, offset)) != value:
                found.append("changed: %s read %s at %d/%d, where %s is" % (poll["client"], value, partition, offset, records.get((partition, offset))))
            before = at.get(partition)
            if before is not None and offset <= before:
                found.append("reordered: %s read %d behind %d" % (poll["client"], offset, before))
            missed = [] if before is None else [o for p, o in records if p == partition and before < o < offset]
            if missed:
                found.append("%s skip: %s went from %d to %d, over %s" % ("internal" if here[partition] else "external", poll["client"], before, offset, missed))
            at[partition], here[partition] = offset, True
    return found


def moves(source, target):
    found = []
    for partition in sorted({p for p, _, _ in source} | {p for p, _, _ in target}):
        wanted = [value for p, _, value in source if p == partition]
        there = [value for p, _, value in target if p == partition]
        if wanted != there:
            kind = "reordered" if sorted(wanted) == sorted(there) else "unmoved"
            found.append("%s: partition %d has %d records, and %d were moved" % (kind, partition, len(wanted), len(there)))
    return found
