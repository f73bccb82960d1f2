"""sluice top: tables and JSON with --once, and the screen on a terminal of 80 by 24."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from sluice_broker import SLUICE, WAIT_S, Broker, loader
from test_group_command import commit


class Terminal:
    """A command on a terminal; what it draws, as it comes."""

    def __init__(self, *words, lines=24, columns=80):
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen([SLUICE, *words], stdin=side, stdout=side, stderr=side, start_new_session=True,
                                        env=dict(os.environ, TERM="xterm"), preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(side)
        self.drawn = b""

    def expect(self, text):
        """Of what is written line by line."""
        deadline = time.monotonic() + 2 * WAIT_S
        while text.encode() not in self.drawn:
            assert time.monotonic() < deadline, (text, self.drawn[-3000:])
            if select.select([self.main], [], [], 0.2)[0]:
                self.drawn += os.read(self.main, 65536)

    def type(self, keys):
        self.drawn = b""
        os.write(self.main, keys.encode())

    def wait_for(self, text):
        deadline, again = time.monotonic() + WAIT_S, time.monotonic() + 1
        while text.encode() not in self.drawn:
            assert time.monotonic() < deadline, (text, self.drawn[-3000:])
            if select.select([self.main], [], [], 0.2)[0]:
                self.drawn += os.read(self.main, 65536)
            if time.monotonic() > again:
                os.write(self.main, b"\x0c")  # all of it again: only what differs is written
                again += 1

    def key(self, keys):
        self.drawn = b""
        os.write(self.main, keys.encode() + b"\x0c")

    def end(self):
        code = self.process.wait(WAIT_S)
        os.close(self.main)
        return code


def test_one_look_is_tables_or_an_object_and_the_screen_takes_keys():
    with Broker() as broker:
        broker.produce("orders", ["a"] * 5, "-X", "client.id=shop")
        commit(broker, "billing", "orders", p0=2)
        once = [subprocess.Popen([SLUICE, "top", *words, "--home", broker.home], stdout=subprocess.PIPE)
                for words in (["--once"], [])]  # what is no terminal gets one look, too
        screen = Terminal("top", "--home", broker.home, "--interval", "200")
        model = broker.json("top", "--once")
        edges = {(edge["from"], edge["to"]): edge for edge in model["edges"]}
        assert edges["topic:orders", "group:billing"]["lag"] == "3", edges
        assert model["groups"][0]["group"] == "billing" and {row["what"] for row in model["pressure"]} >= {"log", "buffers"}
        for one in once:
            text = one.communicate(timeout=WAIT_S)[0].decode()
            assert "\nFLOW\nFROM" in text and "\nGROUPS\n" in text and "(billing)" in text and "records/s" in text, text
        screen.wait_for("(billing)")
        for keys, answer in (("?", "reload the plugin of the row"), ("x", "(billing)"), ("s", "sort: lag"), ("/", "/_"), ("shop\n", "filter: shop"),
                             ("\x1b", "(billing)"), ("R", "reload the configuration?"), ("n", "sort: lag")):
            screen.key(keys)
            screen.wait_for(answer)
        screen.key("T")
        screen.wait_for("records shown")
        broker.ask("produce", topic="orders", records=[{"value": "live one"}])
        screen.wait_for("live one")
        screen.key("x")
        screen.wait_for("FROM")
        screen.key("q")
        assert screen.end() == 0


load_tests = loader(globals())
