"""A server of the native protocol that does what a script says: for tests of clients.

    script = [("HELLO", answer("WELCOME", …)), …]      # what is expected, and what is done then

A step is the name of a frame and a function (server, frame), or None, that is called with it; a frame that the step does
not name fails the test. Runs on a thread; `check()` ends it and raises what went wrong there. Each connection goes on
with the script where the one before stopped."""
import os
import socket
import threading

from sluice_native import Closed, Link, encode

WELCOME = dict(version=1, reserved=0, cluster=bytes(range(16)), frame_max=1 << 20, subscriptions_max=100, heartbeat_ms=0,
               software="fake", mechanisms=[])
HELLO = ("HELLO", lambda server, frame: server.send("WELCOME", frame.id, **WELCOME))


def answer(name, flags=0, /, **fields):
    """A step's deed: one frame with the id of what came."""
    return lambda server, frame: server.send(name, frame.id, flags, **fields)


class FakeServer:
    def __init__(self, script, path=None):
        self.script, self.problem, self.link = list(script), None, None
        self.seen = []
        self.path = path
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
        self.address = path or self.listener.getsockname()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while self.script:
                connection, _ = self.listener.accept()
                self.link = Link(connection)
                try:
                    self.serve()
                except Closed:
                    pass
                self.link.close()
        except Exception as error:  # told by check()
            self.problem = error
            if self.link:
                self.link.close()

    def serve(self):
        while self.script:
            frame = self.link.receive()
            if frame is None:
                raise AssertionError("nothing came; expected %s" % self.script[0][0])
            name, deed = self.script[0]
            assert frame.name == name, "expected %s, got %s" % (name, frame)
            self.seen.append(frame)
            self.script.pop(0)
            if deed is not None:
                deed(self, frame)

    def send(self, name, id=0, flags=0, /, **fields):
        self.link.send(encode(name, id, flags, **fields))

    def drop(self):
        """Ends the connection, so that the client has to come again."""
        self.link.close()
        raise Closed()

    def check(self):
        self.thread.join(30)
        self.listener.close()
        if self.path is not None:
            os.unlink(self.path)
        if self.problem:
            raise self.problem
        assert not self.script, "the script was not played to its end: %s" % self.script
