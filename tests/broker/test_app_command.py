"""sluice generate app: what it makes builds and runs as it is, against the installed library and a running broker."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

from sluice_broker import BUILD, SLUICE, Broker, need

SANITIZED = "a library with a sanitizer cannot be loaded by a program without"


def run(*command, cwd=None, code=0, **environment):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


@unittest.skipIf(os.environ.get("SLUICE_SANITIZER"), SANITIZED)
class App(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="sluice-app-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.prefix = os.path.join(cls.folder.name, "prefix")
        for part in ("client", "client_dev", "client_lua", "client_python"):
            run("cmake", "--install", BUILD, "--component", part, "--prefix", cls.prefix)
        cls.broker = Broker("core.topics.auto_create=true")
        cls.addClassCleanup(cls.broker.close)

    def made(self, name, lang):
        told = run(SLUICE, "generate", "app", name, "--lang", lang, cwd=self.folder.name)
        self.assertIn(f"{name}/README.md", told)
        self.assertIn("publish one two three", told)
        return os.path.join(self.folder.name, name)

    def works(self, folder, *program, **environment):
        environment["SLUICE_ADDRESS"] = "tcp://127.0.0.1:%d" % self.broker.native
        self.assertIn("one as offset 0", run(*program, "publish", "one", "two", cwd=folder, **environment))
        self.assertEqual(run(*program, "work", "2", cwd=folder, **environment), "one\ntwo\n")
        self.assertIn("publish TEXT...", run(*program, cwd=folder, code=2, **environment))
        environment["SLUICE_ADDRESS"] = "tcp://127.0.0.1:1"
        self.assertNotEqual(run(*program, "publish", "x", cwd=folder, code=1, **environment), "")

    def test_in_c_by_make_and_by_cmake(self):
        folder = self.made("orders_c", "c")
        run("make", "SLUICE=" + self.prefix, cwd=folder)
        self.works(folder, "./orders_c")
        run("cmake", "-S", ".", "-B", "build", "-DSluiceClient_DIR=" + os.path.join(self.prefix, "lib", "cmake", "SluiceClient"), cwd=folder)
        run("cmake", "--build", "build", cwd=folder)
        run("build/orders_c", cwd=folder, code=2)

    def test_in_python(self):
        path, = glob.glob(os.path.join(self.prefix, "lib", "python3*", "site-packages"))
        self.works(self.made("orders_python", "python"), sys.executable, "orders_python.py", PYTHONPATH=path)

    def test_in_lua(self):
        need("lua5.4")
        self.works(self.made("orders_lua", "lua"), "lua5.4", "orders_lua.lua",
                   LUA_CPATH=os.path.join(self.prefix, "lib", "lua", "5.4", "?.so"))

    def test_what_cannot_be_made_is_told(self):
        self.assertIn("c, python and lua", run(SLUICE, "generate", "app", "x", "--lang", "perl", cwd=self.folder.name, code=64))
        self.assertIn("a-z", run(SLUICE, "generate", "app", "X-y", cwd=self.folder.name, code=64))
        os.mkdir(os.path.join(self.folder.name, "there"))
        self.assertIn("is there already", run(SLUICE, "generate", "app", "there", cwd=self.folder.name, code=1))


if __name__ == "__main__":
    unittest.main()
