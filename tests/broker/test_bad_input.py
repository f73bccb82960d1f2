"""Frames that no client sends: each closes its own connection at most, and disturbs nothing else."""
import json
import os
import random
import socket
import struct

from sluice_broker import SOURCE, Broker, loader, request

API_VERSIONS = 18


def expect_closed(broker, data):
    with broker.connect() as raw:
        raw.send(data)
        assert raw.is_closed(), data[:16]


def expect_served(raw, correlation_id):
    raw.send_frame(request(API_VERSIONS, 0, correlation_id))
    answer = raw.read_frame()
    assert struct.unpack(">ih", answer[:6]) == (correlation_id, 0), answer[:6]


def test_bad_frames_close_their_connection_and_no_other():
    with Broker() as broker, broker.connect() as other:
        expect_served(other, 1)
        expect_closed(broker, struct.pack(">i", 104857601))     # above the limit
        expect_closed(broker, struct.pack(">i", -1))            # a size that cannot be
        expect_closed(broker, b"GET / HTTP/1.1\r\n\r\n")        # another protocol
        for body in (request(4, 4, 1),                          # an API that is not served
                     request(3, 99, 1),                         # a version that is not served
                     request(0, 2, 1),                          # advertised, and yet refused
                     b"\0\3",                                   # a header that ends too early
                     request(3, 1, 1, b"\x7f\xff\xff\xff"),     # a lying count
                     request(3, 1, 1, b"\0\0\0\1\0\x20ab")):    # a lying length
            expect_closed(broker, struct.pack(">i", len(body)) + body)
        expect_served(other, 2)
        assert broker.is_running()
        assert broker.log().count("closed the connection") >= 6, broker.log()


def test_a_frame_cut_in_pieces_is_put_together():
    with Broker() as broker, broker.connect() as raw:
        frame = request(API_VERSIONS, 0, 7)
        for byte in struct.pack(">i", len(frame)) + frame:
            raw.send(bytes([byte]))
        assert raw.read_frame()[:4] == struct.pack(">i", 7)


def test_a_peer_that_leaves_in_the_middle_of_a_frame_harms_nothing():
    with Broker() as broker:
        for _ in range(50):
            with broker.connect() as raw:
                raw.send(struct.pack(">i", 1000) + b"half")
        with broker.connect() as raw:
            expect_served(raw, 1)


def test_an_api_versions_request_from_the_future_is_answered_in_version_0():
    with Broker() as broker, broker.connect() as raw:
        raw.send_frame(request(API_VERSIONS, 99, 5, b"\1\2\3"))
        answer = raw.read_frame()
        assert answer == struct.pack(">ihihhh", 5, 35, 1, 18, 0, 4), answer
        expect_served(raw, 6)


def test_a_batch_with_a_wrong_checksum_is_refused_with_error_2():
    batch = bytearray(struct.pack(">qiibIhiqqqhii", 0, 49 + 8, -1, 2, 12345, 0, 0, 0, 0, -1, -1, -1, 1)
                      + b"\x0e\0\0\0\x01\x02a\0")
    topic = b"bad"
    body = (struct.pack(">hhii", -1, -1, 1000, 1) + struct.pack(">h", len(topic)) + topic
            + struct.pack(">iii", 1, 0, len(batch)) + bytes(batch))
    with Broker() as broker, broker.connect() as raw:
        broker.produce("bad", ["good"])
        raw.send_frame(request(0, 3, 1, body))
        answer = raw.read_frame()
        code, = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)
        assert code == 2, (code, answer)
        assert broker.consume("bad") == ["good"]


def test_an_invalid_topic_name_is_told_as_such():
    topic = b"no/slash"
    body = struct.pack(">ih", 1, len(topic)) + topic + b"\1"
    with Broker() as broker, broker.connect() as raw:
        raw.send_frame(request(3, 4, 1, body))
        answer = raw.read_frame()
        assert struct.pack(">hh", 17, len(topic)) + topic in answer, answer


def captured_requests():
    """Requests of real clients, less their size."""
    path = os.path.join(SOURCE, "tests", "data", "kafka", "frames.jsonl")
    with open(path) as file:
        frames = [json.loads(line) for line in file]
    return [bytes.fromhex(frame["hex"]) for frame in frames if frame["dir"] == "request"]


def damaged(frame, chance):
    """The frame with a few bytes changed behind key and version, or cut, or with bytes put in."""
    frame = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(8, len(frame))
        what = chance.randrange(4)
        if what == 0:
            frame[at] = chance.choice((0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)))
        elif what == 1:
            frame[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            frame[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        else:
            del frame[at:at + chance.randint(1, 8)]
        frame += b"\0" * max(0, 9 - len(frame))
    return bytes(frame)


def test_damaged_requests_of_real_clients_harm_nobody():
    seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
    print("seed %d" % seed)
    chance = random.Random(seed)
    frames = captured_requests()
    with Broker() as broker:
        broker.produce("good", ["good"])
        for i in range(3000):
            with broker.connect() as raw:
                frame = damaged(chance.choice(frames), chance)
                raw.send(struct.pack(">i", len(frame)) + frame)
                raw.socket.settimeout(0.01)  # an answer, an end, or nothing at all: each is fine
                try:
                    raw.socket.recv(1)
                except (TimeoutError, socket.timeout, ConnectionResetError):
                    pass
            assert broker.is_running(), "request %d of seed %d" % (i, seed)
        assert broker.consume("good") == ["good"]


load_tests = loader(globals())
