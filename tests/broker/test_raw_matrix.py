"""Every advertised call and version with requests that are empty, full, wrong, cut and too long: raw_matrix.py."""
import raw_matrix
from sluice_broker import loader


def test_each_call_and_version_answers_in_its_schema_or_closes_and_the_document_says_how():
    lines, legacy, problems, cuts = raw_matrix.measure()
    assert not problems, "\n".join(problems[:50])
    assert cuts > 10000, cuts
    with open(raw_matrix.DOCUMENT) as file:
        told = {line.split("|")[1].strip(): [] for line in file if line.startswith("| ") and line[2].isdigit()}
        file.seek(0)
        for line in file:
            if line.startswith("| ") and line[2].isdigit():
                told[line.split("|")[1].strip()].append(line.strip())
    found = {}
    assert len(legacy) >= 8, legacy
    for line in lines + legacy:
        found.setdefault(line.split("|")[1].strip(), []).append(line)
    new = sorted(set(found) - set(told))
    if new:  # that come with others' work: told, and no failure
        print("not in docs/reference/kafka.md yet: %s; tests/broker/raw_matrix.py --write" % ", ".join(new))
    stale = {call: (told[call], found.get(call)) for call in told if told[call] != found.get(call)}
    assert not stale, "docs/reference/kafka.md is stale: tests/broker/raw_matrix.py --write: %s" % stale


load_tests = loader(globals())
