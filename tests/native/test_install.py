#!/usr/bin/python3
"""The client library as somebody else gets it: installed, found by pkg-config and by CMake, usable from C and C++."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else os.path.join(SOURCE, "build", "test")
EXAMPLE = os.path.join(SOURCE, "examples", "client_c")


def run(*command, code=0, **environment):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **environment))
    assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout.strip()


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="sluice-install-")
        cls.prefix = os.path.join(cls.folder.name, "prefix")
        for part in ("client", "client_tls", "client_dev", "client_lua", "client_python"):
            run("cmake", "--install", BUILD, "--component", part, "--prefix", cls.prefix)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def flags(self, package):
        found = {"PKG_CONFIG_PATH": os.path.join(self.prefix, "share", "pkgconfig")}
        return run("pkg-config", "--cflags", "--libs", package, **found).split()

    def test_pkg_config_finds_it_and_a_program_runs(self):
        program = os.path.join(self.folder.name, "publish")
        run("cc", "-o", program, os.path.join(EXAMPLE, "client_publish.c"), *self.flags("sluice-client"))
        run(program, code=2, LD_LIBRARY_PATH=os.path.join(self.prefix, "lib"))

    def test_it_needs_nothing_but_libc(self):
        needs = run("objdump", "-p", os.path.join(self.prefix, "lib", "libsluice-client.so"))
        names = [line.split()[1] for line in needs.splitlines() if "NEEDED" in line]
        self.assertEqual([], [name for name in names if not name.startswith(("libc.so", "ld-linux"))])

    def test_it_exports_its_interface_alone(self):
        symbols = run("nm", "-D", "--defined-only", os.path.join(self.prefix, "lib", "libsluice-client.so")).splitlines()
        names = [line.split()[-1] for line in symbols]
        self.assertGreater(len(names), 40)
        self.assertEqual([], [name for name in names if not name.startswith("sluice_")])

    def test_cmake_finds_it(self):
        build = os.path.join(self.folder.name, "build")
        run("cmake", "-S", EXAMPLE, "-B", build, "-DSluiceClient_DIR=" + os.path.join(self.prefix, "lib", "cmake", "SluiceClient"))
        run("cmake", "--build", build)
        run(os.path.join(build, "client_subscribe"), code=2)

    def test_python_finds_the_library_of_its_own_installation(self):
        folder, = glob.glob(os.path.join(self.prefix, "lib", "python3*", "site-packages"))
        said = run(sys.executable, "-c", "from sluice import _library as l; l.tls(); print(l.LIBRARY)", PYTHONPATH=folder)
        self.assertEqual(os.path.join(self.prefix, "lib", "libsluice-client.so.0"), said)

    def test_lua_needs_the_module_alone(self):
        said = run("lua5.4", "-e", "print(require('sluice').connect('tcp://127.0.0.1:1'))",
                   LUA_CPATH=os.path.join(self.prefix, "lib", "lua", "5.4", "?.so"))
        self.assertTrue(said.startswith("nil\t"), said)

    def test_the_headers_are_clean_in_c_and_in_cxx(self):
        source = os.path.join(self.folder.name, "headers")
        text = ("#include <sluice/client.h>\n#include <sluice/client_tls.h>\n"
                "int main(void) { return (int)(sluice_publish_to(\"a\").size + sluice_subscribe_to(\"b\").size) == 0; }\n")
        for compiler, name, standard in (("cc", source + ".c", "c11"), ("c++", source + ".cpp", "c++17")):
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
            run(compiler, "-std=" + standard, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I" + os.path.join(self.prefix, "include"), name)


if __name__ == "__main__":
    unittest.main()
