#!/usr/bin/env python3
"""shout.py ADDRESS: answers one request from another connection; a round trip of request and reply.

    python3 shout.py tcp://127.0.0.1:9192"""
import sys
import threading

import sluice

address = sys.argv[1]


def serve() -> None:
    with sluice.Connection(address) as responder:
        request = responder.subscribe("shout", start="beginning").next(timeout=30)
        responder.reply(request, request.value.upper())


thread = threading.Thread(target=serve)
thread.start()
with sluice.Connection(address) as connection:
    print(connection.request("shout", b"hello").value.decode())
thread.join()
