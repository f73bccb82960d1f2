"""Request and reply over the native protocol, on one loop and on several."""
import os
import sys

from sluice_broker import SOURCE, Broker, loader

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import MESSAGES, PUBLISHED, REPLY, Link, Reader, messages, record, text  # noqa: E402


def reply(link, number, address, value, flags=1):
    link.send(REPLY, flags, number, text(address) + record(value))


def address_of(one):
    return dict(one.headers)["sluice-reply-to"].decode()


def ask(link, number, value, where="_inbox"):
    link.published(number, "questions", [record(value, headers=[("sluice-reply-to", where.encode()), ("sluice-correlation", b"7")])], partition=0)


def test_a_reply_reaches_who_asked_and_nobody_else():
    with Broker("core.topics.auto_create=true") as broker, Link(broker.native) as service:
        links = [Link(broker.native) for _ in range(8)]  # over all loops
        service.subscribe(1, "questions")
        for number, link in enumerate(links):
            ask(link, 2, b"%d" % number)
        addresses = {}
        for one in service.records(1, len(links)):
            addresses[one.value] = address_of(one)
            assert dict(one.headers)["sluice-correlation"] == b"7"
        assert len(set(addresses.values())) == len(links)
        for value, address in addresses.items():
            reply(service, 3, address, b"to " + value)
            assert Reader(service.take(PUBLISHED, number=3).body).numbers("iqq") == (-1, -1, -1)
        for number, link in enumerate(links):
            source, (one,), _ = messages(link.take(MESSAGES, number=0).body)
            assert (source, one.value) == (0, b"to %d" % number) and link.has_nothing()
        ask(links[0], 4, b"again")
        assert address_of(service.records(1, 1)[0]) == addresses[b"0"]  # good for as long as the connection
        for link in links:
            link.close()


def test_an_address_that_is_gone_or_guessed_is_told():
    with Broker("core.topics.auto_create=true") as broker, Link(broker.native) as service:
        service.subscribe(1, "questions")
        with Link(broker.native) as link:
            ask(link, 2, b"x")
            address = address_of(service.records(1, 1)[0])
            guessed = address[:-1] + ("0" if address[-1] != "0" else "1")
            wrong = (guessed, "_inbox", "orders", "", "_inbox." + "f" * 40, address + "0", address.upper())
            for value in wrong:
                reply(service, 3, value, b"y")
                assert service.error(3)[0] == 1004, value
            reply(service, 4, guessed, b"y", flags=0)  # nobody is told
            assert service.has_nothing(PUBLISHED) and link.has_nothing()
            ask(link, 5, b"z", where="answers")  # a topic's name is left alone
            assert address_of(service.records(1, 1)[0]) == "answers"
        reply(service, 6, address, b"late")
        assert service.error(6)[0] == 1004


load_tests = loader(globals())
