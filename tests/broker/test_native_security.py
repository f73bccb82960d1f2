"""Who may do what over the native protocol: logins, certificates, access rules."""
import os
import struct
import sys
import time

from sluice_broker import SOURCE, Broker, loader, wait_for
from test_acls import allow, rule
from test_sasl import SECRET, token, with_tokens

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import AUTH_NEXT, ENDED, ERROR, GOAWAY, PUBLISHED, TOPICS, TOPIC_LIST, Link, Reader, record, text  # noqa: E402


def users(broker):
    for name in ("alice", "bob"):
        code, _, error = broker.run("user", "add", name, stdin=b"secret-" + name.encode() + b"\n")
        assert code == 0, error


def plain(name, password):
    return b"\0" + name.encode() + b"\0" + password.encode()


def logged_in(broker, name):
    link = Link(broker.native)
    assert link.login("PLAIN", plain(name, "secret-" + name)).kind == AUTH_NEXT
    return link


def test_nothing_is_answered_before_a_login_and_a_wrong_password_ends_it():
    with Broker("kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256", "security.failed_login_delay=0 s", "core.topics.auto_create=true") as broker:
        users(broker)
        with Link(broker.native) as link:
            reader = Reader(link.welcome.body)
            reader.take(32), reader.text()
            assert [reader.text() for _ in range(reader.number("H"))] == ["PLAIN", "SCRAM-SHA-256"]
            link.publish(1, "t", [record(b"x")])
            assert link.error(1)[0] == 1905
            link.pings()
            assert link.login("GSSAPI", b"").kind == ERROR
            answer = link.login("PLAIN", plain("alice", "secret-alice"))
            assert answer.kind == AUTH_NEXT and answer.body[0] == 1
            assert link.published(2, "t", [record(b"x")])[1] == 0
        with Link(broker.native) as link:
            assert struct.unpack_from("<I", link.login("PLAIN", plain("alice", "wrong")).body)[0] == 1903
            assert link.take(GOAWAY) and link.is_closed()


def test_a_token_lets_in_until_it_expires_and_another_of_the_same_user_goes_on():
    def bearer(link, secret=SECRET, **claims):
        claims = {"sub": "carol", "iss": "us", "exp": time.time() + 600, **claims}
        return link.login("OAUTHBEARER", b"n,,\x01auth=Bearer " + token(claims, secret).encode() + b"\x01\x01")

    with with_tokens("core.topics.auto_create=true") as broker:
        broker.start()
        with Link(broker.native) as link:
            answer = bearer(link, exp=time.time() + 2)
            assert answer.kind == AUTH_NEXT and answer.body[0] == 1
            assert link.published(1, "t", [record(b"x")])[1] == 0

            def is_over():
                link.publish(2, "t", [record(b"x")])
                return link.take(PUBLISHED, ERROR, number=2).kind == ERROR
            wait_for(is_over, "the token to be too old")
            assert bearer(link).kind == AUTH_NEXT and link.published(3, "t", [record(b"x")])
            assert struct.unpack_from("<I", bearer(link, sub="mallory").body)[0] == 1903 and link.is_closed()
        for claims in ({"exp": time.time() - 1}, {"iss": "them"}, {"sub": ""}, {"secret": SECRET[::-1]}):
            with Link(broker.native) as link:
                answer = bearer(link, **claims)
                if answer.kind == AUTH_NEXT:  # RFC 7628: the failure is a challenge, whose answer is a single byte
                    assert answer.body[0] == 0, claims
                    answer = link.login("", b"\x01")
                assert answer.kind == ERROR and struct.unpack_from("<I", answer.body)[0] == 1903 and link.is_closed(), claims


def test_rules_hold_for_who_logged_in():
    with Broker("kafka.sasl.mechanisms=PLAIN", "security.authorization=true", "security.super_users=User:root", "core.topics.auto_create=false") as broker:
        users(broker)
        for name in ("open.a", "open.b", "secret.a"):
            broker.json("topic", "create", name)
        allow(broker, "Write", "topic:open.a", principal="User:alice")
        for name in ("open.a", "open.b"):
            allow(broker, "Read", "topic:" + name, principal="User:bob")
        with logged_in(broker, "alice") as alice, logged_in(broker, "bob") as bob:
            alice.publish(1, "secret.a", [record(b"x")], partition=0)
            assert alice.error(1)[0] == 1313
            bob.subscribe(2, "open.a")
            bob.subscribe(3, ">")
            assert sorted(bob.source(3)[2] for _ in range(2)) == ["open.a", "open.b"]
            bob.subscribe(4, "secret.a", wait=False)
            assert bob.error(4)[0] == 1313
            bob.subscribe(5, "open.a", group="g", wait=False)
            assert bob.error(5)[0] == 1900
            alice.published(6, "open.a", [record(b"y")], partition=0)
            assert bob.records(2, 1)[0].value == b"y" and bob.records(3, 1)[0].value == b"y"
            bob.publish(7, "open.a", [record(b"x")], partition=0)
            assert bob.error(7)[0] == 1313
            bob.send(TOPICS, 0, 8, text(""))
            assert Reader(bob.take(TOPIC_LIST).body).number("I") == 2
            alice.published(10, "open.a", [record(b"held"), record(b"held too")], partition=0)
            bob.subscribe(11, "open.a", records=2)
            assert len(bob.records(11, 2)) == 2
            rule("acl.remove", broker, "Read", "topic:open.a", principal="User:bob")
            bob.credit(11, 1)  # nothing of what was read before, and is held
            assert Reader(bob.take(ENDED, number=11).body).number("I") == 1313
            alice.published(9, "open.a", [record(b"z")], partition=0)
            assert Reader(bob.take(ENDED, number=2).body).number("I") == 1313


load_tests = loader(globals())
