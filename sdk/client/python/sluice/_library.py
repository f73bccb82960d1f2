"""The structs and functions of <sluice/client.h> for ctypes. The library is the one of the installation that this file is
of (PREFIX/lib), else where the system looks; SLUICE_CLIENT_LIBRARY names another. libsluice-client-tls.so is loaded from
beside it when it is needed."""
import ctypes as c
import os
from typing import Any

_NAME = "libsluice-client.so.0"
# PREFIX/lib/python3.N/site-packages/sluice/_library.py
_BESIDE = os.path.join(os.path.abspath(__file__).rsplit(os.sep, 4)[0], _NAME)
LIBRARY = os.environ.get("SLUICE_CLIENT_LIBRARY") or (_BESIDE if os.path.exists(_BESIDE) else _NAME)


class Bytes(c.Structure):
    """struct sluice_bytes, and struct sluice_text."""
    _fields_ = [("data", c.c_void_p), ("size", c.c_uint64)]


class Header(c.Structure):
    _fields_ = [("key", Bytes), ("value", Bytes)]


class CMessage(c.Structure):
    _fields_ = [("size", c.c_uint32), ("partition", c.c_int32), ("topic", Bytes), ("id", Bytes), ("offset", c.c_int64),
                ("timestamp_ms", c.c_int64), ("key", Bytes), ("value", Bytes), ("deliveries", c.c_uint32), ("source", c.c_uint32),
                ("header_count", c.c_uint32), ("reserved", c.c_uint32), ("headers", c.POINTER(Header)), ("header_bytes", Bytes)]


class TopicInfo(c.Structure):
    _fields_ = [("name", Bytes), ("id", c.c_uint8 * 16), ("partitions", c.c_int32), ("reserved", c.c_uint32)]


class OffsetInfo(c.Structure):
    _fields_ = [("partition", c.c_int32), ("reserved", c.c_uint32), ("offset", c.c_int64), ("timestamp_ms", c.c_int64)]


class Result(c.Structure):
    _fields_ = [("size", c.c_uint32), ("status", c.c_int32), ("retriable", c.c_bool), ("duplicate", c.c_bool),
                ("delayed", c.c_bool), ("reserved", c.c_uint8), ("partition", c.c_int32), ("offset", c.c_int64), ("timestamp_ms", c.c_int64),
                ("text", Bytes), ("topics", c.POINTER(TopicInfo)), ("offsets", c.POINTER(OffsetInfo)), ("count", c.c_uint32),
                ("reserved2", c.c_uint32), ("message", c.POINTER(CMessage))]


class Wait(c.Structure):
    _fields_ = [("is_done", c.c_bool), ("result", Result), ("text", c.c_char * 256), ("topics", c.POINTER(TopicInfo)),
                ("offsets", c.POINTER(OffsetInfo)), ("answer", c.c_void_p)]


class Options(c.Structure):
    _fields_ = [("size", c.c_uint32), ("requests_max", c.c_uint32), ("client_id", c.c_char_p), ("user", c.c_char_p),
                ("password", c.c_char_p), ("mechanism", c.c_char_p), ("pending_bytes_max", c.c_uint64),
                ("frame_bytes_max", c.c_uint32), ("subscriptions_max", c.c_uint32), ("greeting_ms", c.c_uint32),
                ("request_ms", c.c_uint32), ("keepalive_ms", c.c_uint32), ("backoff_min_ms", c.c_uint32),
                ("backoff_max_ms", c.c_uint32), ("look_us", c.c_uint32), ("hash", c.c_void_p), ("on_state", c.c_void_p),
                ("arg", c.c_void_p), ("token", c.c_char_p)]


class Publish(c.Structure):
    _fields_ = [("size", c.c_uint32), ("partition", c.c_int32), ("topic", Bytes), ("id", Bytes), ("expected_offset", c.c_int64),
                ("level", c.c_uint32), ("reserved", c.c_uint32), ("deliver_at_ms", c.c_int64)]


class Subscribe(c.Structure):
    _fields_ = [("size", c.c_uint32), ("partition", c.c_int32), ("pattern", Bytes), ("group", Bytes), ("filter", Bytes),
                ("start_value", c.c_int64), ("start", c.c_uint32), ("ack_ms", c.c_uint32), ("credit_records", c.c_uint64),
                ("credit_bytes", c.c_uint64), ("exclusive", c.c_bool), ("committed", c.c_bool), ("manual_credit", c.c_bool),
                ("reserved", c.c_uint8 * 5), ("on_message", c.c_void_p), ("on_event", c.c_void_p), ("arg", c.c_void_p)]


class TlsOptions(c.Structure):
    _fields_ = [("size", c.c_uint32), ("is_unverified", c.c_bool), ("reserved", c.c_uint8 * 3), ("ca_file", c.c_char_p),
                ("cert_file", c.c_char_p), ("key_file", c.c_char_p), ("name", c.c_char_p)]


class Setting(c.Structure):
    _fields_ = [("key", c.c_char_p), ("value", c.c_char_p)]


P = c.c_void_p
STATUS = c.c_int32
DONE = [P, P]  # done and arg, which end most requests
FUNCTIONS: Any = {
    "sluice_client_defaults": (Options, []),
    "sluice_connection_open": (STATUS, [c.c_char_p, c.POINTER(Options), P, c.c_int32, c.POINTER(P)]),
    "sluice_connection_why": (c.c_char_p, []),
    "sluice_connection_close": (None, [P]),
    "sluice_client_set_token": (STATUS, [P, c.c_char_p]),
    "sluice_connection_client": (P, [P]),
    "sluice_connection_wait": (STATUS, [P, c.POINTER(Wait), c.c_int32]),
    "sluice_connection_next": (STATUS, [P, P, c.c_int32, c.POINTER(CMessage)]),
    "sluice_wait_fini": (None, [c.POINTER(Wait)]),
    "sluice_status_text": (c.c_char_p, [STATUS]),
    "sluice_message_header": (STATUS, [c.POINTER(CMessage), c.c_uint32, c.POINTER(Header)]),
    "sluice_message_batch_new": (STATUS, [c.POINTER(P)]),
    "sluice_message_batch_add": (STATUS, [P, c.POINTER(CMessage)]),
    "sluice_message_batch_get": (STATUS, [P, c.c_uint32, c.POINTER(CMessage)]),
    "sluice_message_batch_free": (None, [P]),
    "sluice_client_publish": (STATUS, [P, c.POINTER(Publish), P] + DONE),
    "sluice_client_request": (STATUS, [P, c.POINTER(CMessage), c.c_uint32] + DONE),
    "sluice_client_reply": (STATUS, [P, c.POINTER(CMessage), c.POINTER(CMessage)] + DONE),
    "sluice_client_ping": (STATUS, [P] + DONE),
    "sluice_client_topics": (STATUS, [P, c.c_char_p] + DONE),
    "sluice_client_topic_create": (STATUS, [P, c.c_char_p, c.c_int32, c.POINTER(Setting), c.c_uint32] + DONE),
    "sluice_client_topic_delete": (STATUS, [P, c.c_char_p] + DONE),
    "sluice_client_topic_configure": (STATUS, [P, c.c_char_p, c.POINTER(Setting), c.c_uint32] + DONE),
    "sluice_client_offsets": (STATUS, [P, c.c_char_p, c.c_int32, c.c_int64] + DONE),
    "sluice_client_trim": (STATUS, [P, c.c_char_p, c.c_int32, c.c_int64] + DONE),
    "sluice_client_group_delete": (STATUS, [P, c.c_char_p] + DONE),
    "sluice_client_subscribe": (STATUS, [P, c.POINTER(Subscribe), c.POINTER(P)]),
    "sluice_subscription_close": (None, [P]),
    "sluice_subscription_credit": (STATUS, [P, c.c_uint64, c.c_uint64]),
    "sluice_subscription_ack": (STATUS, [P, c.POINTER(CMessage), c.c_uint32, c.c_uint32] + DONE),
}
TLS_FUNCTIONS: Any = {
    "sluice_tls_new": (STATUS, [c.POINTER(TlsOptions), c.POINTER(P)]),
    "sluice_tls_free": (None, [P]),
    "sluice_client_openssl": (P, []),
}


def load(name: str, functions: Any) -> Any:
    library = c.CDLL(name, mode=c.RTLD_GLOBAL)
    for function, (result, arguments) in functions.items():
        entry = getattr(library, function)
        entry.restype, entry.argtypes = result, arguments
    return library


client = load(LIBRARY, FUNCTIONS)
wait_done = c.cast(client.sluice_wait_done, P)


def tls() -> Any:
    """The library with TLS and the hashes of SCRAM."""
    return load(LIBRARY.replace("libsluice-client.so", "libsluice-client-tls.so"), TLS_FUNCTIONS)
