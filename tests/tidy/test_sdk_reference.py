#!/usr/bin/env python3
"""The SDK's reference: refuses what has no comment, with file and line, and takes what has one."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Reference(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="sluice-reference-")
        for path in ("sdk/include", "sdk/client/include", "docs/reference"):
            shutil.copytree(os.path.join(ROOT, path), os.path.join(self.root, path))
        shutil.copy(os.path.join(ROOT, "sdk/reference.py"), os.path.join(self.root, "sdk"))

    def tearDown(self):
        shutil.rmtree(self.root)

    def run_after(self, addition, header="types.h"):
        path = os.path.join(self.root, "sdk/include/sluice", header)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        at = text.rindex("\n#endif")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[:at] + "\n" + addition + text[at:])
        done = subprocess.run([sys.executable, os.path.join(self.root, "sdk/reference.py"), "--check"], text=True,
                              stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stderr

    def test_what_is_committed_is_what_the_headers_say(self):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "sdk/reference.py"), "--check"], text=True,
                              stderr=subprocess.PIPE, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_a_symbol_without_a_comment_is_refused_with_its_place(self):
        for addition, name in (("struct sluice_new {\n    int32_t x;\n};\n", "struct sluice_new"),
                               ("#define SLUICE_NEW 1\n", "constant SLUICE_NEW"),
                               ("typedef void sluice_new_done(void *arg);\n", "function type sluice_new_done"),
                               ("/* A table. */\nstruct sluice_new {\n    uint32_t size;\n\n"
                                "    void (*call)(void *self);\n};\n", "slot sluice_new.call")):
            with self.subTest(name):
                self.setUp()
                code, errors = self.run_after(addition)
                self.assertEqual(1, code)
                self.assertRegex(errors, r"sdk/include/sluice/types\.h:\d+: " + name)

    def test_a_reference_that_is_behind_is_refused(self):
        code, errors = self.run_after("/* Something new. */\nstruct sluice_new {\n    int32_t x;\n};\n")
        self.assertEqual(1, code)
        self.assertIn("docs/reference/sdk.md is not what the headers say", errors)


if __name__ == "__main__":
    unittest.main()
