#!/usr/bin/env python3
"""test_tidy.py: each rule of tidy.py finds a breach planted in a small tree, and says nothing about a clean one."""
import os
import subprocess
import sys
import tempfile
import unittest

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
ROOMS = "# Rooms\n\n```rooms\nbase:\nos: base\nwal: base os\nmain: base os wal\n```\n"
CLEAN = {
    "docs/ARCHITECTURE.md": ROOMS,
    "core/base/base.h": "int base;\n",
    "core/os/os.h": '#include "base/base.h"\n#include <unistd.h>\n',
    "core/os/os_uv.c": '#include "os/os.h"\nint f(int d);\nint f(int d)\n{\n    return close(d);\n}\n',
    "core/wal/wal.c": '#include "os/os.h"\n/* open(path) in a comment; "read(" too */\n'
                      'int g(struct ops *ops)\n{\n    return ops->open(ops) + ops->sub.read("write(x)");\n}\n',
    "sandbox/include/sandbox/sandbox.h": "#include <sluice/status.h>\n",
    "sdk/include/sluice/status.h": "int status;\n",
    "plugins/one/one.c": '#include "one_part.h"\n#include <sluice/status.h>\n#include <stdio.h>\n',
    "plugins/one/one_part.h": "int part;\n",
    "docs/CLAIMS.md": "| claim | proof | where |\n|---|---|---|\n| it works | `t.py::test_it` | T |\n",
    "docs/README.md": "# Documents\n\n[rooms](ARCHITECTURE.md#rooms) [claims](CLAIMS.md) [code](../core) [far](https://example.org/a)\n"
                      "```sh\n# no heading [here](nowhere.md)\n```\n",
    "t.py": "def test_it(): pass\n",
}


class Tidy(unittest.TestCase):
    def tidy(self, rule, changes=None):
        """Exit code and lines about the clean tree with changes."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **(changes or {})}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run([sys.executable, TIDY, "--root", root, rule], capture_output=True, text=True)
            self.assertEqual(result.stderr, "")
            return result.returncode, result.stdout.splitlines()[:-1]

    def expect(self, rule, place, changes):
        code, lines = self.tidy(rule, changes)
        self.assertEqual(code, 1)
        self.assertEqual([line.split(": ")[0] for line in lines], [place], lines)

    def test_a_clean_tree_passes_every_rule(self):
        for rule in ("includes", "system", "plugins", "names", "banned", "words", "claims", "links"):
            self.assertEqual(self.tidy(rule), (0, []), rule)

    def test_a_claim_without_a_proof_that_is_there(self):
        for proof in ("", "`u.py`", "`t.py::test_i`"):
            self.expect("claims", "docs/CLAIMS.md:1", {"docs/CLAIMS.md": f"| it works | {proof} | T |\n"})

    def test_a_link_that_leads_nowhere_and_a_page_that_no_link_leads_to(self):
        for link in ("gone.md", "ARCHITECTURE.md#no-such-heading", "#no-such-heading"):
            self.expect("links", "docs/CLAIMS.md:1", {"docs/CLAIMS.md": f"[it]({link})\n"})
        self.expect("links", "docs/README.md:1", {"docs/new.md": "# New\n"})

    def test_an_include_against_the_direction(self):
        self.expect("includes", "core/base/base.h:1", {"core/base/base.h": '#include "os/os.h"\n'})

    def test_a_room_that_the_document_does_not_know(self):
        self.expect("includes", "core/new/new.c:1", {"core/new/new.c": "int n;\n"})

    def test_a_table_that_points_downward(self):
        self.expect("includes", "docs/ARCHITECTURE.md:4",
                    {"docs/ARCHITECTURE.md": ROOMS.replace("base:\n", "base: os\n")})

    def test_a_document_without_the_table(self):
        self.expect("includes", "docs/ARCHITECTURE.md:1", {"docs/ARCHITECTURE.md": "# Rooms\n"})

    def test_a_system_header_in_core(self):
        self.expect("system", "core/wal/wal.c:1", {"core/wal/wal.c": "#include <fcntl.h>\n"})

    def test_a_system_call_in_core(self):
        self.expect("system", "core/wal/wal.c:2", {"core/wal/wal.c": "int g(int d)\n{ return fsync(d); }\n"})

    def test_a_libuv_name_in_core(self):
        self.expect("system", "core/wal/wal.c:1", {"core/wal/wal.c": "extern uv_loop_t *loop;\n"})

    def test_a_standard_stream_in_core_but_not_a_given_one(self):
        self.expect("system", "core/wal/wal.c:2", {"core/wal/wal.c": 'void g(FILE *f) {fputs("x", f);\nfputs("x", stderr);}\n'})

    def test_a_plugin_that_includes_core(self):
        self.expect("plugins", "plugins/one/one.c:1", {"plugins/one/one.c": '#include "base/base.h"\n'})

    def test_a_plugin_that_includes_its_neighbour(self):
        self.expect("plugins", "plugins/two/two.c:1", {"plugins/two/two.c": '#include "../one/one_part.h"\n'})

    def test_a_plugin_that_links_core(self):
        self.expect("plugins", "plugins/one/CMakeLists.txt:1",
                    {"plugins/one/CMakeLists.txt": "sl_plugin(one SOURCES one.c DEPS sl_base)\n"})

    def test_a_sandbox_that_includes_core(self):
        self.expect("plugins", "sandbox/spawn.c:1", {"sandbox/spawn.c": '#include "os/os.h"\n'})

    def test_two_files_of_one_name(self):
        self.expect("names", "plugins/one/wal.c:1", {"plugins/one/wal.c": "int w;\n"})

    def test_a_banned_function(self):
        self.expect("banned", "plugins/one/one.c:1", {"plugins/one/one.c": "void f(char *a) { strcpy(a, a); }\n"})

    def test_a_machines_path(self):
        self.expect("words", "docs/a.md:1", {"docs/a.md": "see /" + "work/tree\n"})

    def test_an_unknown_host(self):
        self.expect("words", "docs/a.md:2", {"docs/a.md": "https://github.com/x\nhttps:/" + "/mirror.corp.internal/x\n"})


if __name__ == "__main__":
    unittest.main(verbosity=0)
