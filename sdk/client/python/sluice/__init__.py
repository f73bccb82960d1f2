"""Sluice from Python, over libsluice-client.

    with sluice.Connection("tcp://127.0.0.1:9192") as connection:
        connection.publish("orders", [b"one", b"two"])
        for message in connection.subscribe("orders", start="beginning"):
            print(message.offset, message.value)

A connection and what belongs to it are for one thread at a time. Errors are sluice.Error, whose `code` is the number of
an SLU-nnnn (`sluice errors`)."""
import ctypes as c
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from . import _library as lib

__all__ = ["Connection", "Error", "Message", "Published", "Subscription"]

_STARTS = {"end": 0, "beginning": 1, "offset": 2, "timestamp": 3, "last-per-key": 4}
_ACKS = {"done": 0, "again": 1, "reject": 2, "extend": 3, "up-to": 4}
_WOULD_BLOCK, _TIMEOUT = 1003, 1007


class Error(Exception):
    """What a call failed with."""

    def __init__(self, code: int, text: str = ""):
        super().__init__("SLU-%04d %s" % (code, text or lib.client.sluice_status_text(code).decode()))
        self.code = code


@dataclass
class Message:
    """A record. To publish: value and what else is wanted; the rest is known of what came."""
    value: Optional[bytes]
    key: Optional[bytes] = None
    headers: List[Tuple[str, Optional[bytes]]] = field(default_factory=list)
    timestamp_ms: int = -1
    id: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    deliveries: int = 0
    _source: int = 0


@dataclass
class Published:
    """Where records went; `duplicate`: they were there already, by their id; `delayed`: they are durable, and have no
    offset yet (-1)."""
    partition: int
    offset: int
    duplicate: bool
    delayed: bool = False


class _Held:
    """Bytes for a call, kept alive as long as this is."""

    def __init__(self) -> None:
        self.kept: List[Any] = []

    def of(self, data: Union[bytes, str, None]) -> lib.Bytes:
        if data is None:
            return lib.Bytes(None, 0)
        raw = data.encode() if isinstance(data, str) else bytes(data)
        buffer = c.create_string_buffer(raw, len(raw) + 1)
        self.kept.append(buffer)
        return lib.Bytes(c.addressof(buffer), len(raw))

    def message(self, message: Message) -> lib.CMessage:
        made = lib.CMessage(size=c.sizeof(lib.CMessage), partition=message.partition, topic=self.of(message.topic),
                            timestamp_ms=message.timestamp_ms, key=self.of(message.key), value=self.of(message.value),
                            offset=message.offset, source=message._source)
        headers = list(message.headers)
        if message.id and not any(name == "sluice-message-id" for name, _ in headers):
            headers.append(("sluice-message-id", message.id.encode()))
        if headers:
            array = (lib.Header * len(headers))(*[lib.Header(self.of(name), self.of(value)) for name, value in headers])
            self.kept.append(array)
            made.headers, made.header_count = array, len(headers)
        return made


def _bytes(view: lib.Bytes) -> Optional[bytes]:
    return None if view.data is None else c.string_at(view.data, view.size)


def _text(view: lib.Bytes) -> str:
    return (_bytes(view) or b"").decode()


def _message(got: lib.CMessage) -> Message:
    headers, header = [], lib.Header()
    for index in range(got.header_count):
        _check(lib.client.sluice_message_header(c.byref(got), index, c.byref(header)))
        headers.append((_text(header.key), _bytes(header.value)))
    return Message(_bytes(got.value), _bytes(got.key), headers, got.timestamp_ms, _text(got.id), _text(got.topic), got.partition,
                   got.offset, got.deliveries, got.source)


def _check(status: int, text: str = "") -> None:
    if status != 0:
        raise Error(status, text)


def _as_message(value: Union[bytes, Message]) -> Message:
    return value if isinstance(value, Message) else Message(value)


class Subscription:
    """Messages as they come; iterating never ends by itself."""

    def __init__(self, connection: "Connection", pointer: c.c_void_p):
        self._connection, self._pointer = connection, pointer

    def next(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next one; None: none came in so many seconds."""
        got = lib.CMessage()
        status = lib.client.sluice_connection_next(self._connection._open(), self._alive(), _ms(timeout), c.byref(got))
        if status == _TIMEOUT:
            return None
        _check(status)
        return _message(got)

    def __iter__(self) -> Iterator[Message]:
        while True:
            message = self.next()
            if message is not None:
                yield message

    def ack(self, message: Message, what: str = "done", delay: float = 0, wait: bool = True) -> None:
        """For durable subscriptions: done, again (after a delay in seconds), reject, extend, up-to. `wait`: until it is durable."""
        held = _Held()
        made = held.message(message)
        if wait:
            self._connection._ask(lib.client.sluice_subscription_ack, self._alive(), c.byref(made), _ACKS[what], int(delay * 1000))
        else:
            _check(lib.client.sluice_subscription_ack(self._alive(), c.byref(made), _ACKS[what], int(delay * 1000), None, None))

    def credit(self, records: int, size: int) -> None:
        """Lets the server send so much more."""
        _check(lib.client.sluice_subscription_credit(self._alive(), records, size))

    def close(self) -> None:
        if self._pointer is not None and self._connection._pointer is not None:
            lib.client.sluice_subscription_close(self._pointer)
        self._pointer = None  # type: ignore[assignment]

    def _alive(self) -> c.c_void_p:
        if self._pointer is None:
            raise ValueError("the subscription is closed")
        return self._pointer


def _ms(seconds: Optional[float]) -> int:
    return -1 if seconds is None else int(seconds * 1000)


class Connection:
    """A connection that comes back by itself when it is lost. `address`: tcp://host:port, tls://host:port, unix:/path,
    shm:///path."""

    def __init__(self, address: str, user: Optional[str] = None, password: Optional[str] = None, mechanism: Optional[str] = None,
                 ca_file: Optional[str] = None, cert_file: Optional[str] = None, key_file: Optional[str] = None,
                 client_id: str = "sluice-python", timeout: float = 10.0, token: Optional[str] = None):
        self._pointer: Optional[c.c_void_p] = None
        self._transport = c.c_void_p()
        options = lib.client.sluice_client_defaults()
        options.client_id = client_id.encode()
        for name, value in (("user", user), ("password", password), ("mechanism", mechanism), ("token", token)):
            setattr(options, name, None if value is None else value.encode())
        if user is not None and mechanism != "PLAIN":
            options.hash = lib.tls().sluice_client_openssl()
        if address.startswith("tls://"):
            files = [None if value is None else value.encode() for value in (ca_file, cert_file, key_file)]
            tls = lib.TlsOptions(c.sizeof(lib.TlsOptions), False, (c.c_uint8 * 3)(), files[0], files[1], files[2], None)
            _check(lib.tls().sluice_tls_new(c.byref(tls), c.byref(self._transport)))
        pointer = c.c_void_p()
        status = lib.client.sluice_connection_open(address.encode(), c.byref(options), self._transport, _ms(timeout), c.byref(pointer))
        _check(status, lib.client.sluice_connection_why().decode(errors="replace"))
        self._pointer = pointer

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def close(self) -> None:
        if self._pointer is not None:
            lib.client.sluice_connection_close(self._pointer)
            self._pointer = None
        if self._transport:
            lib.tls().sluice_tls_free(self._transport)
            self._transport = c.c_void_p()

    def set_token(self, token: str) -> None:
        """Another token, for the next login: before the server ends the connection of one that has expired."""
        _check(lib.client.sluice_client_set_token(self._client(), token.encode()))

    def _open(self) -> c.c_void_p:
        if self._pointer is None:
            raise ValueError("the connection is closed")
        return self._pointer

    def _ask(self, function: Any, *arguments: Any) -> lib.Wait:
        """A request and the wait for its answer. Its lists are to be copied before wait_fini."""
        wait = lib.Wait()
        _check(function(*arguments, lib.wait_done, c.byref(wait)))
        status = lib.client.sluice_connection_wait(self._open(), c.byref(wait), -1)
        if status != 0:
            text = wait.text.decode(errors="replace")
            lib.client.sluice_wait_fini(c.byref(wait))
            raise Error(status, text)
        return wait

    def _client(self) -> c.c_void_p:
        return lib.client.sluice_connection_client(self._open())

    def _ask_client(self, function: Any, *arguments: Any) -> lib.Wait:
        return self._ask(function, self._client(), *arguments)

    def publish(self, topic: str, messages: Sequence[Union[bytes, Message]], partition: int = -1, id: str = "",
                expected_offset: int = -1, deliver_at_ms: int = 0) -> Published:
        """All of them as one unit, to one partition, with one acknowledgement; deliver_at_ms (since 1970): appended then, and
        seen by nobody before."""
        held, batch = _Held(), c.c_void_p()
        _check(lib.client.sluice_message_batch_new(c.byref(batch)))
        try:
            for one in messages:
                _check(lib.client.sluice_message_batch_add(batch, c.byref(held.message(_as_message(one)))))
            publish = lib.Publish(c.sizeof(lib.Publish), partition, held.of(topic), held.of(id), expected_offset, 1, 0,
                                  deliver_at_ms)
            wait = self._ask_client(lib.client.sluice_client_publish, c.byref(publish), batch)
        finally:
            lib.client.sluice_message_batch_free(batch)
        return Published(wait.result.partition, wait.result.offset, wait.result.duplicate, wait.result.delayed)

    def subscribe(self, pattern: str, group: str = "", start: str = "end", start_value: int = 0, partition: int = -1,
                  filter: str = "", credit_records: int = 1000, credit_bytes: int = 4 << 20, manual_credit: bool = False,
                  exclusive: bool = False, committed: bool = False, ack_timeout: float = 0) -> Subscription:
        """start: end, beginning, offset, timestamp, last-per-key. With a group it is durable."""
        held, pointer = _Held(), c.c_void_p()
        options = lib.Subscribe(c.sizeof(lib.Subscribe), partition, held.of(pattern), held.of(group), held.of(filter), start_value,
                                _STARTS[start], int(ack_timeout * 1000), credit_records, credit_bytes, exclusive, committed,
                                manual_credit)
        _check(lib.client.sluice_client_subscribe(self._client(), c.byref(options), c.byref(pointer)))
        return Subscription(self, pointer)

    def request(self, topic: str, value: Union[bytes, Message], timeout: float = 30.0) -> Message:
        """Publishes what wants an answer and waits for it."""
        held = _Held()
        question = held.message(_as_message(value))
        question.topic = held.of(topic)
        wait = self._ask_client(lib.client.sluice_client_request, c.byref(question), _ms(timeout))
        got = lib.CMessage()
        _check(lib.client.sluice_message_batch_get(wait.answer, 0, c.byref(got)))
        answer = _message(got)
        lib.client.sluice_wait_fini(c.byref(wait))
        return answer

    def reply(self, request: Message, value: Union[bytes, Message]) -> None:
        """Answers a message that wants it."""
        held = _Held()
        self._ask_client(lib.client.sluice_client_reply, c.byref(held.message(request)), c.byref(held.message(_as_message(value))))

    def ping(self) -> None:
        self._ask_client(lib.client.sluice_client_ping)

    def topics(self, pattern: str = "") -> Dict[str, int]:
        """Topics by pattern and how many partitions they have."""
        wait = self._ask_client(lib.client.sluice_client_topics, pattern.encode())
        found = {_text(wait.topics[i].name): wait.topics[i].partitions for i in range(wait.result.count)}
        lib.client.sluice_wait_fini(c.byref(wait))
        return found

    def create_topic(self, topic: str, partitions: int = -1, **settings: str) -> None:
        """Settings with _ for dots: retention_ms="60000"."""
        array = (lib.Setting * max(1, len(settings)))(*[(name.replace("_", ".").encode(), value.encode()) for name, value in settings.items()])
        self._ask_client(lib.client.sluice_client_topic_create, topic.encode(), partitions, array, len(settings))

    def configure_topic(self, topic: str, settings: Dict[str, Optional[str]]) -> None:
        """None: the default again."""
        array = (lib.Setting * max(1, len(settings)))(*[(name.encode(), None if value is None else value.encode())
                                                        for name, value in settings.items()])
        self._ask_client(lib.client.sluice_client_topic_configure, topic.encode(), array, len(settings))

    def delete_topic(self, topic: str) -> None:
        self._ask_client(lib.client.sluice_client_topic_delete, topic.encode())

    def offsets(self, topic: str, time_ms: int = -1, partition: int = -1) -> Dict[int, int]:
        """Offset of a time in each partition; -1: the end, -2: the beginning."""
        wait = self._ask_client(lib.client.sluice_client_offsets, topic.encode(), partition, time_ms)
        found = {wait.offsets[i].partition: wait.offsets[i].offset for i in range(wait.result.count)}
        lib.client.sluice_wait_fini(c.byref(wait))
        return found

    def trim(self, topic: str, partition: int, offset: int) -> None:
        """Records before the offset go."""
        self._ask_client(lib.client.sluice_client_trim, topic.encode(), partition, offset)

    def delete_group(self, group: str) -> None:
        self._ask_client(lib.client.sluice_client_group_delete, group.encode())
