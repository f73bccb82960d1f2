#!/usr/bin/env python3
"""tidy.py [RULE …]: the rules of the tree as a test.

Reads the files that git tracks (or, without git, all below the root), prints each breach as
    path:line: rule: what is wrong; what to do
and ends with 1 when there was any. Rules (all unless named): format, includes, system, plugins, names, banned,
words, claims, links. Which room may include which is the block ```rooms in docs/ARCHITECTURE.md, so that the document
and the tree cannot differ. With --clang-tidy BUILD_DIR runs clang-tidy over the C sources instead.
"""
import argparse
import os
import re
import subprocess
import sys

CLAIMS = "docs/CLAIMS.md"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
C_FILES = (".c", ".h")

# Where a quoted include is looked for, besides the folder of the file that has it.
INCLUDE_ROOTS = ("core", "sandbox/include", "sdk/include")

# Rooms that may touch the system, and single files with the reason.
SYSTEM_ROOMS = ("core/os/",)
SYSTEM_FILES = {
    "core/main.c": "the program: its exit code",
    "core/base/assert.c": "the end of the process",
}
# The command line is a program's edge: standard output is its product, the environment its input.
PROGRAM_ROOMS = ("core/cli/",)
PROGRAM_CALLS = "fputs fputc putchar puts printf fprintf vprintf vfprintf fwrite fflush getenv".split()
# Fine everywhere when the stream is the caller's: formatting into what may be memory.
STREAM_CALLS = "fprintf vfprintf fputs fputc fwrite fflush fclose".split()
STANDARD_STREAM = re.compile(r"\b(stdout|stderr|stdin)\b")
SYSTEM_HEADERS = re.compile(
    r"#\s*include\s*<(uv\.h|uv/.*|pthread\.h|threads\.h|unistd\.h|fcntl\.h|poll\.h|signal\.h|dirent\.h|dlfcn\.h|"
    r"netdb\.h|sched\.h|spawn\.h|time\.h|sys/.*|netinet/.*|arpa/.*|linux/.*)>")
SYSTEM_NAMES = re.compile(r"(?<![\w>.])(uv_\w+|pthread_\w+)\b")
# System calls and input/output of libc. A function of the same name that the file itself defines is not meant.
SYSTEM_CALLS = """
    open openat creat read write readv writev pread pwrite preadv pwritev close lseek dup dup2 pipe pipe2 fsync fdatasync
    ftruncate truncate fallocate stat fstat lstat statvfs rename unlink mkdir rmdir opendir readdir closedir mmap munmap
    socket bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg sendfile shutdown setsockopt
    getaddrinfo poll epoll_create1 epoll_wait select eventfd inotify_init1 ioctl fcntl flock
    fork vfork execv execve execvp posix_spawn waitpid kill raise signal sigaction prctl syscall dlopen dlsym
    clock_gettime gettimeofday time nanosleep usleep sleep getrandom rand srand random localtime gmtime
    fopen fdopen freopen fclose fread fwrite fgets fputs fputc putchar puts printf fprintf vprintf vfprintf scanf fscanf
    fflush perror getenv setenv exit _exit abort atexit thrd_create mtx_lock
""".split()
CALL = re.compile(r"(?<![\w>.])(%s)\s*\(" % "|".join(SYSTEM_CALLS))

BANNED = {
    "system": "spawn the program without a shell (the sandbox does)",
    "popen": "spawn the program without a shell (the sandbox does)",
    "strcpy": "use sl_text_add or memcpy with a checked size",
    "strcat": "use sl_text_add",
    "sprintf": "use snprintf or sl_text_add",
    "vsprintf": "use vsnprintf or sl_text_add",
    "gets": "use a bounded read",
    "alloca": "use a bounded array or the heap",
    "setjmp": "return an error (Lua's own are hidden in its library)",
}
BANNED_CALL = re.compile(r"(?<![\w>.])(%s)\s*\(" % "|".join(BANNED))

# Words that belong to somebody's machine or tools, not to the project. Parted, so that this file has none.
WORDS = re.compile("|".join(("/" + "work/", "/" + "farm/", r"\bclau" + "de", "anthro" + "pic", "chat" + "gpt",
                             r"\bco" + "pilot", r"\bl" + r"lm\b", r"\bA" + r"I\b", r"b-" + "seed-")))
URL_HOST = re.compile(r"https?://([\w.-]+)")
URL_HOSTS = re.compile(
    r"^(localhost|127\.0\.0\.1|(\w+\.)*example(\.(com|org))?|json-schema\.org|prometheus\.io|opentelemetry\.io|"
    r"(\w+\.)*(apache|rfc-editor|ietf|kernel|debian|lua|openssl|json|yaml|semver|keepachangelog|freedesktop)\.(org|com)|"
    r"github\.com|docs\.confluent\.io|lz4\.org|nixos\.org|man7\.org|(\w+\.)*w3\.org)$")


class Tree:
    """The tracked files, with their text read once."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(self._list())
        self._texts = {}
        self.problems = []

    def _list(self):
        found = subprocess.run(["git", "-C", self.root, "ls-files", "-co", "--exclude-standard"],
                               capture_output=True, text=True)
        if found.returncode == 0:
            return [p for p in found.stdout.splitlines() if os.path.isfile(os.path.join(self.root, p))]
        walked = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = [f for f in folders if f not in (".git", "build", "var")]
            walked += [os.path.relpath(os.path.join(folder, f), self.root) for f in files]
        return walked

    def text(self, path):
        """None for what is not text."""
        if path not in self._texts:
            with open(os.path.join(self.root, path), "rb") as file:
                raw = file.read()
            try:
                self._texts[path] = None if b"\0" in raw[:8192] else raw.decode("utf-8")
            except UnicodeDecodeError:
                self._texts[path] = None
        return self._texts[path]

    def c_files(self, *folders):
        return [p for p in self.paths
                if p.endswith(C_FILES) and (not folders or p.startswith(tuple(f + "/" for f in folders)))]

    def problem(self, path, line, rule, what):
        self.problems.append(f"{path}:{line}: {rule}: {what}")


def code_lines(text):
    """The lines without comments and string contents; line numbers stay."""
    def blank(match):
        kept = match.group(0)
        if kept.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", kept)
        return kept[0] + re.sub(r"[^\n]", " ", kept[1:-1]) + kept[-1]

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    includes = {}
    for number, line in enumerate(text.splitlines()):
        if re.match(r"\s*#\s*include", line):
            includes[number] = line
    lines = re.sub(pattern, blank, text, flags=re.S).splitlines()
    for number, line in includes.items():
        if lines[number].strip():
            lines[number] = line
    return lines


def includes_of(tree, path):
    """(line number, name, is quoted) of each include."""
    for number, line in enumerate(code_lines(tree.text(path)), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def resolve(tree, path, name, quoted):
    """The tracked file that an include means, or None (the system's, or generated)."""
    folders = ([os.path.dirname(path)] if quoted else []) + list(INCLUDE_ROOTS)
    for folder in folders:
        candidate = os.path.normpath(os.path.join(folder, name))
        if candidate in tree.known:
            return candidate
    return None


# ---- rules ----

def rule_format(tree):
    files = tree.c_files()
    try:
        result = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=tree.root,
                                capture_output=True, text=True)
    except FileNotFoundError:
        print("tidy: clang-format is not installed: the rule `format` was skipped")
        return
    told = set()
    for match in re.finditer(r"^(.+?):(\d+):\d+: error:", result.stderr, re.M):
        if match.group(1) not in told:
            told.add(match.group(1))
            tree.problem(match.group(1), match.group(2), "format", f"run clang-format -i {match.group(1)}")


def read_rooms(tree):
    """{room: allowed rooms} in order, out of docs/ARCHITECTURE.md."""
    path = "docs/ARCHITECTURE.md"
    text = tree.text(path) if path in tree.known else ""
    block = re.search(r"^```rooms\n(.*?)^```", text, re.M | re.S)
    if not block:
        tree.problem(path, 1, "includes", "has no block ```rooms; it says which room may include which")
        return {}
    rooms = {}
    first = text[:block.start(1)].count("\n") + 1
    for number, line in enumerate(block.group(1).splitlines(), first):
        room, _, allowed = line.partition(":")
        rooms[room.strip()] = allowed.split()
        for name in allowed.split():
            if name not in rooms:
                tree.problem(path, number, "includes", f"{room} names {name}, which is not above it: a cycle, or a typing error")
    return rooms


def rule_includes(tree):
    rooms = read_rooms(tree)
    for path in tree.c_files("core") if rooms else []:
        parts = path.split("/")
        room = parts[1] if len(parts) > 2 else "main"
        if room not in rooms:
            tree.problem(path, 1, "includes", f"room {room} is not in docs/ARCHITECTURE.md; add it to the block ```rooms")
            continue
        for number, name, quoted in includes_of(tree, path):
            target = resolve(tree, path, name, quoted)
            if not target or target.startswith("sdk/"):
                continue
            if target.startswith("sandbox/include/"):
                other = "sandbox"
            else:
                other = target.split("/")[1] if target.startswith("core/") else target.split("/")[0]
            if other != room and other not in rooms[room]:
                tree.problem(path, number, "includes",
                             f"{room} may not include {name}; allowed: {' '.join(rooms[room]) or 'nothing'} "
                             "(docs/ARCHITECTURE.md); move what is needed to a room before both")


def rule_plugins(tree):
    """The sandbox knows nothing of core; plugins and examples know the SDK and themselves."""
    for path in tree.c_files("sandbox", "plugins", "examples", "sdk"):
        parts = path.split("/")
        own = {"sandbox": "sandbox/", "sdk": "sdk/"}.get(parts[0], "/".join(parts[:2]) + "/")
        for number, name, quoted in includes_of(tree, path):
            target = resolve(tree, path, name, quoted)
            if target and not target.startswith((own, "sdk/include/")):
                tree.problem(path, number, "plugins", f"{name} is {target}; {own} may include itself and the SDK "
                             "(<sluice/…>), so that a stranger's plugin can do what it does")
    for path in tree.paths:
        if path.endswith("CMakeLists.txt") and path.startswith(("plugins/", "examples/")):
            for number, line in enumerate(tree.text(path).splitlines(), 1):
                line = line.split("#")[0]
                if re.search(r"\b(core/|sl_(base|os|record|route|wal|index|catalog|admit|deliver|shard|intake|control)\b)", line):
                    tree.problem(path, number, "plugins", "links or includes core; a plugin builds against the SDK alone")


def rule_system(tree):
    for path in tree.c_files("core"):
        if path.startswith(SYSTEM_ROOMS) or path in SYSTEM_FILES:
            continue
        text = tree.text(path)
        own = set(re.findall(r"^static [^;=]*?\b(\w+)\(", text, re.M)) | set(re.findall(r"_fn \*(\w+)", text))
        if path.startswith(PROGRAM_ROOMS):
            own.update(PROGRAM_CALLS)
        for number, line in enumerate(code_lines(text), 1):
            header = SYSTEM_HEADERS.search(line)
            if header:
                tree.problem(path, number, "system", f"<{header.group(1)}> belongs to core/os; use os/os.h")
            for match in list(SYSTEM_NAMES.finditer(line)) + list(CALL.finditer(line)):
                streams = match.group(1) in STREAM_CALLS and not STANDARD_STREAM.search(line)
                if match.group(1) not in own and not streams:
                    tree.problem(path, number, "system", f"{match.group(1)} belongs to core/os; use or extend os/os.h")


def rule_names(tree):
    """Published headers are named with their folder (<sluice/status.h>), templates leave the tree: both are free."""
    seen = {}
    for path in tree.c_files():
        if path.startswith(("sdk/include/", "sdk/template/")):
            continue
        name = os.path.basename(path)
        if name in seen:
            tree.problem(path, 1, "names", f"{seen[name]} has the same name; log lines and backtraces want it unique")
        seen.setdefault(name, path)


def rule_banned(tree):
    for path in tree.c_files():
        free = ("system", "popen") if path.startswith("tests/") else ()  # of constant commands: compilers, tools
        for number, line in enumerate(code_lines(tree.text(path)), 1):
            for match in BANNED_CALL.finditer(line):
                if match.group(1) in free:
                    continue
                tree.problem(path, number, "banned", f"{match.group(1)}(): {BANNED[match.group(1)]}")


def rule_words(tree):
    for path in tree.paths:
        text = tree.text(path)
        for number, line in enumerate(text.splitlines() if text else [], 1):
            match = WORDS.search(line)
            if match:
                tree.problem(path, number, "words", f"“{match.group(0)}” is of one machine or tool; say it without")
            for host in URL_HOST.findall(line):
                if "." in host and not URL_HOSTS.match(host):
                    tree.problem(path, number, "words", f"unknown host {host}; a public document's host may be added "
                                 "to URL_HOSTS in tests/tidy/tidy.py")


def rule_claims(tree):
    """Each line of the table of claims names proofs that are there: `file`, or `file::test`."""
    known = set(tree.paths)
    for number, line in enumerate(tree.text(CLAIMS).splitlines() if CLAIMS in known else [], 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 3 or cells[1] in ("proof", "---"):
            continue
        proofs = re.findall(r"`([^`]+)`", cells[1])
        if not proofs:
            tree.problem(CLAIMS, number, "claims", "no proof")
        for proof in proofs:
            path, _, name = proof.partition("::")
            if path not in known:
                tree.problem(CLAIMS, number, "claims", f"{path} is not there")
            elif name and not re.search(rf"\b{re.escape(name)}\b", tree.text(path)):
                tree.problem(CLAIMS, number, "claims", f"{path} has no test {name}")


LINK = re.compile(r"\]\(([^)\s]+)\)")
DOCS = "docs/README.md"


def prose(text):
    """The lines of a page without blocks of code, which are left empty."""
    lines, inside = [], False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        lines.append("" if inside or fence else line)
        inside = inside != fence
    return lines


def anchors(text):
    """What a page's headings are called in links."""
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#")) for line in prose(text) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


def rule_links(tree):
    """Links of pages lead to files and headings that are there, and the index of docs leads to each page of it."""
    known = set(tree.paths)
    folders = {path[:at] for path in known for at, letter in enumerate(path) if letter == "/"}
    led = {}
    for path in [p for p in tree.paths if p.endswith(".md")]:
        for number, line in enumerate(prose(tree.text(path)), 1):
            for link in LINK.findall(line):
                to, _, anchor = link.partition("#")
                if re.match(r"[a-z]+:", link):
                    continue
                target = os.path.normpath(os.path.join(os.path.dirname(path), to)) if to else path
                led.setdefault(path, set()).add(target)
                if target not in known and target not in folders:
                    tree.problem(path, number, "links", f"{link} is not there")
                elif anchor and target.endswith(".md") and anchor not in anchors(tree.text(target)):
                    tree.problem(path, number, "links", f"{target} has no heading #{anchor}")
    for path in sorted(known if DOCS in known else []):
        if path.startswith("docs/") and path.endswith(".md") and path not in led.get(DOCS, set()) | {DOCS}:
            tree.problem(DOCS, 1, "links", f"no link to {path}")


RULES = {
    "format": rule_format,
    "includes": rule_includes,
    "system": rule_system,
    "plugins": rule_plugins,
    "names": rule_names,
    "banned": rule_banned,
    "words": rule_words,
    "claims": rule_claims,
    "links": rule_links,
}


SHIPPED = ("core", "sandbox", "sdk", "plugins", "examples")
ACCEPTED = "tests/tidy/clang_tidy_accepted.txt"


def read_accepted(tree):
    """{(path, check): line number} of findings that were looked at and are wrong."""
    accepted = {}
    for number, line in enumerate((tree.text(ACCEPTED) or "").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            path, check = line.split(":", 2)[:2]
            accepted[path, check.strip()] = number
    return accepted


def clang_tidy(tree, build):
    """clang-tidy by .clang-tidy over every shipped source that the build compiles."""
    import concurrent.futures
    import json
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        built = {os.path.relpath(entry["file"], tree.root) for entry in json.load(file)}
    sources = [p for p in tree.c_files(*SHIPPED) if p in built]
    accepted, used = read_accepted(tree), set()

    def check(path):
        result = subprocess.run(["clang-tidy", "--quiet", "-p", build, path], cwd=tree.root,
                                capture_output=True, text=True)
        return path, result.returncode, result.stdout

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for path, code, output in pool.map(check, sources):
            for line in output.replace(tree.root + "/", "").splitlines():
                found = re.match(r"([^:]+):\d+:\d+: (?:warning|error): .*\[([^],]+)[^]]*\]$", line)
                if found and found.groups() in accepted:
                    used.add(found.groups())
                elif found:
                    tree.problems.append(line)
            if code and not output.strip():
                tree.problem(path, 1, "clang-tidy", "ended with an error and said nothing")
    for (path, name), number in accepted.items():
        if (path, name) not in used:
            tree.problem(ACCEPTED, number, "clang-tidy", f"{path} has no finding of {name} any more; remove the line")
    return len(sources)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rules", nargs="*", metavar="RULE", help=" ".join(RULES))
    parser.add_argument("--root", default=ROOT)
    parser.add_argument("--clang-tidy", metavar="BUILD_DIR")
    options = parser.parse_args()
    unknown = [r for r in options.rules if r not in RULES]
    if unknown:
        parser.error(f"no such rule: {' '.join(unknown)}")
    tree = Tree(options.root)
    tree.known = set(tree.paths)
    if options.clang_tidy:
        count, what = clang_tidy(tree, os.path.abspath(options.clang_tidy)), "clang-tidy"
    else:
        names = options.rules or list(RULES)
        for name in names:
            RULES[name](tree)
        count, what = len(tree.paths), " ".join(names)
    for problem in dict.fromkeys(tree.problems):
        print(problem)
    print(f"tidy: {count} files, {len(set(tree.problems))} problems ({what})")
    return 1 if tree.problems else 0


if __name__ == "__main__":
    sys.exit(main())
