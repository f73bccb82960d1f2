"""A program of somebody else's that is a broker: examples/embed, built against libsluice-broker alone."""
import os
import shutil
import subprocess
import tempfile
import unittest

from sluice_broker import BUILD, SOURCE, free_port, need, wait_for

HOST = os.path.join(BUILD, "bin", "embed")


class Host(unittest.TestCase):
    def test_serves_kcat(self):
        need("kcat")
        if not os.path.exists(HOST):
            self.skipTest("this build has no libsluice-broker")
        home = tempfile.mkdtemp(prefix="sluice-embed-")
        self.addCleanup(shutil.rmtree, home)
        address = "127.0.0.1:%d" % free_port()
        settings = [f"data.dir={home}/data", f"plugins.dir={home}/plugins", "plugins.enabled=frontend_kafka", "admin.socket=none", "core.topics.auto_create=true",
                    f"kafka.listen={address}"]
        host = subprocess.Popen([HOST, *settings], stderr=subprocess.DEVNULL)
        self.addCleanup(host.wait)
        self.addCleanup(host.terminate)
        kcat = ["kcat", "-b", address]
        wait_for(lambda: subprocess.run(kcat + ["-L"], capture_output=True).returncode == 0, "the host to serve")
        subprocess.run(kcat + ["-P", "-t", "orders", "-p", "0"], input=b"hello\n", check=True, timeout=60)
        read = subprocess.run(kcat + ["-C", "-t", "orders", "-p", "0", "-o", "beginning", "-c", "1", "-q"], capture_output=True, timeout=60)
        self.assertEqual(read.stdout, b"hello\n")

    def test_is_short(self):
        with open(os.path.join(SOURCE, "examples", "embed", "serve.c"), encoding="utf-8") as file:
            body = file.read().split("int main", 1)[1]
        self.assertLessEqual(body.count(";"), 20)


if __name__ == "__main__":
    unittest.main()
