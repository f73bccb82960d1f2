"""What came of the checks as one table: a line a client, a column a feature, in Markdown."""
import re

FEATURES = (  # column, checks that it sums up; the first that fits takes a check
    ("all codecs", re.compile(r"idempotent|(produces|consumes) (none|gzip|snappy|lz4|zstd)")),
    ("acks 0 and 1", re.compile(r"produces with acks")),
    ("headers, nulls", re.compile(r"headers, null")),
    ("admin", re.compile(r"admin|deletes records")),
    ("groups", re.compile(r"group of two with a rebalance")),
    ("KIP-848 groups", re.compile(r"group\.protocol|a group that changes")),
    ("share groups", re.compile(r"a share group")),
    ("transactions", re.compile(r"transactions: (?!offsets)")),
    ("offsets in them", re.compile(r"transactions: offsets")),
    ("PLAIN", re.compile(r"SASL PLAIN(?! over)")),
    ("SCRAM-256", re.compile(r"SASL SCRAM-SHA-256")),
    ("SCRAM-512", re.compile(r"SASL SCRAM-SHA-512(?! over)")),
    ("OAUTH", re.compile(r"SASL OAUTHBEARER")),
    ("TLS", re.compile(r"TLS")),
    ("mTLS", re.compile(r"mTLS")),
    ("SASL over TLS", re.compile(r"SASL .* over TLS")),
    ("reads the others", re.compile(r"reads ")),
)


def feature_of(check):
    return next((name for name, pattern in FEATURES if pattern.match(check)), None)


class Matrix:
    """note() for each line of a client; the table shows all that were noted."""

    def __init__(self):
        self.cells = {}  # client -> feature -> word -> checks
        self.reasons = []  # (client, check, why it cannot)
        self.absent = []  # (client, why it was not tried)

    def note(self, client, word, check):
        feature = feature_of(check)
        if feature is None:
            return
        row = self.cells.setdefault(client, {})
        row.setdefault(feature, []).append(word)
        if word == "skip":
            name, _, why = check.removesuffix(")").partition(" (")
            self.reasons.append((client, name, why))

    def cell(self, client, feature):
        words = self.cells[client].get(feature, [])
        if "FAIL" in words:
            return "**FAIL**"
        done, skipped = words.count("ok"), words.count("skip")
        if not done:
            return "—"
        return f"{done} of {done + skipped}" if skipped else "yes"

    def lines(self):
        columns = [name for name, _ in FEATURES if any(name in row for row in self.cells.values())]
        yield "| client | " + " | ".join(columns) + " |"
        yield "|---|" + "---|" * len(columns)
        for client in self.cells:
            yield f"| {client} | " + " | ".join(self.cell(client, name) for name in columns) + " |"
        if self.reasons or self.absent:
            yield ""
        for client, check, why in sorted(set(self.reasons)):
            yield f"- {client}, {check}: {why}"
        for client, why in self.absent:
            yield f"- {client} was not tried: {why}"


def write_into(path, lines):
    """Replaces what stands between the two marks of a document."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = "<!-- begin: tests/interop/run --table -->\n", "<!-- end -->"
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    assert mark, f"{path} has no place for the table"
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + begin + "\n".join(lines) + "\n" + end + tail)
