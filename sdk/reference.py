#!/usr/bin/env python3
"""reference.py [--check] [HEADER…]: writes docs/reference/sdk.md from the headers of the SDK, and
docs/reference/client.md from those of the client library.

A public symbol (struct, function, function type, constant) has a comment: the one before it, the one behind
it on its line, or that of the group it stands in (declarations without a blank line between them share the
comment that the group begins with). Slots of tables that may be called have one too. What has none is named
with file and line, nothing is written, and the exit code is 1; so the build fails.

--check: writes nothing, and also fails when a page is not what the headers say. With headers named, only sdk.md.
"""
import argparse
import os
import re
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "sdk", "include", "sluice")
PAGE = os.path.join(ROOT, "docs", "reference", "sdk.md")
ORDER = ("types.h", "status.h", "status_row.h", "plugin.h", "processor.h", "state.h", "frontend.h", "upgrade.h", "consumer_group.h", "streams_group.h",
         "broker.h", "security.h", "quota.h", "telemetry.h", "records.h", "filter.h", "message_set.h", "task.h", "metrics.h",
         "embed.h", "shared_ring.h")

CLIENT_INCLUDE = os.path.join(ROOT, "sdk", "client", "include", "sluice")
CLIENT_PAGE = os.path.join(ROOT, "docs", "reference", "client.md")
CLIENT_ORDER = ("client.h", "client_tls.h")

TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|\n|[{}();]|[^\s{}();/\"]+|/|[ \t]+", re.S)
SECTION = re.compile(r"^-{2,}\s*(.*?)\s*-{2,}$")
NOT_PUBLIC = re.compile(r"_H$|_$|^SLUICE_CALL$|^SLUICE_EXTERN_C$|^SLUICE_CLIENT_API$")  # guards and what only the headers use


class Item:
    """A declaration, directive or comment. `gap`: a blank line stands before it."""

    def __init__(self, kind, text, line, gap, body=None):
        self.kind, self.text, self.line, self.gap, self.body = kind, text, line, gap, body
        self.doc, self.trailing = "", False


def plain(comment):
    """The words of a comment, as paragraphs of Markdown."""
    text = comment[2:-2] if comment.startswith("/*") else comment[2:]
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip()


def items_of(text, line=1):
    """Splits what stands between two braces, or a whole file."""
    items, words, start, gap, newlines, depth, body_at = [], "", line, False, 0, 0, None
    at = 0
    while at < len(text):
        directive = re.compile(r"[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.S).match(text, at)
        fresh = not words.strip() and depth == 0
        if fresh and directive and (at == 0 or text[at - 1] == "\n"):
            comment = re.search(r"/\*.*\*/\s*$", directive.group(), re.S)
            bare = directive.group()[: comment.start()] if comment else directive.group()
            items.append(Item("directive", bare.strip(), line, newlines > 1))
            if comment:
                tail = Item("comment", plain(comment.group().strip()), line, False)
                tail.trailing = True
                items.append(tail)
            line += directive.group().count("\n")
            at, newlines = directive.end(), 0
            continue
        token = TOKEN.match(text, at)
        part = token.group()
        at = token.end()
        if part == "\n":
            line += 1
            newlines += 1
            words += " " if words else ""
            continue
        if part.startswith(("/*", "//")):
            if fresh:
                item = Item("comment", plain(part), line, newlines > 1)
                item.trailing = newlines == 0 and bool(items)
                items.append(item)
                newlines = 0
            line += part.count("\n")
            continue
        if fresh and part.strip():
            start, gap = line, newlines > 1
        if part.strip():
            newlines = 0
        words += part if part.strip() or words else ""
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(part, 0)
        if part == "{" and depth == 1:
            body_at, body_line = at, line
        ends = depth == 0 and (part == ";" or (part == "}" and not re.match(r"[ \t]*[\w;\[]", text[at:])))
        call = depth == 0 and part == ")" and re.match(r"\s*SLUICE_STATUS_TABLE", words)
        if (ends or call) and words.strip(" ;"):
            body = None
            if body_at is not None:
                close = text.rindex("}", body_at, at)
                body = (text[body_at:close], body_line)
            items.append(Item("declaration", words.strip(), start, gap, body))
        if ends or call:
            words, body_at = "", None
    return items


def attach(items):
    """Gives each declaration and directive the comment that is meant for it."""
    documented, pending, group, previous = [], None, "", None
    for item in items:
        if item.kind == "comment":
            if item.trailing and previous is not None:
                previous.doc = (previous.doc + " " if previous.own else "") + item.text
                previous.own = True
                continue
            if item.gap:
                group = ""
            pending = item
            if SECTION.match(item.text):
                documented.append(item)
                pending = None
            continue
        if item.gap:
            group, pending = "", None
        item.own = pending is not None
        if pending is not None:
            group = pending.text
        item.doc, item.grouped = (pending.text, False) if pending is not None else ("", bool(group))
        pending = None
        documented.append(item)
        previous = item
    return documented


def name_of(item):
    text = re.sub(r"\{.*\}", "{}", item.text, flags=re.S)
    if item.kind == "directive":
        found = re.match(r"#\s*define\s+(\w+)", text)
        return ("constant", found.group(1)) if found else (None, None)
    call = re.match(r"SLUICE_CALL\(\s*(\w+)", text)
    pointer = re.search(r"\(\*\s*(?:const\s+)?(\w+)\)\s*\(", text)
    struct = re.match(r"struct\s+(\w+)\s*\{", text)
    function_type = re.match(r"typedef\s[^(]*?(\w+)\s*\(", text)
    alias = re.match(r"typedef\s.*?(\w+)\s*;", text)
    inline = re.match(r"(?:static\s+inline\s+)[^(]*?(\w+)\s*\(", text)
    exported = re.match(r"SLUICE_CLIENT_API\s[^(]*?(\w+)\s*\(", text)
    for kind, match in (("function", exported), ("slot", call), ("struct", struct), ("function type", function_type), ("type", alias),
                        ("slot", pointer), ("function", inline)):
        if match:
            return kind, match.group(1)
    found = re.search(r"(\w+)(\[[^\]]*\])?\s*;$", text)
    return ("member", found.group(1)) if found else (None, None)


class Header:
    def __init__(self, name, folder=INCLUDE):
        self.name, self.folder = name, os.path.relpath(folder, ROOT)
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            self.text = file.read()
        # The braces of extern "C" hold everything and mean nothing here; its lines stay, for line numbers.
        self.text = re.sub(r"#ifdef __cplusplus\n(extern \"C\" \{|\})\n#endif", "\n\n", self.text)
        self.problems = []

    def problem(self, item, kind, name):
        where = f"{self.folder}/{self.name}:{item.line}"
        self.problems.append(f"{where}: {kind} {name} has no comment; say above it what it is, who owns what, its "
                             f"unit, thread and errors")

    def page(self):
        items = attach(items_of(self.text))
        about = next(item for item in items_of(self.text) if item.kind == "comment").text
        title, _, rest = about.partition(": ")
        out = [f"## `{title}`", "", rest[:1].upper() + rest[1:], ""]
        constants = []
        for item in items:
            if item.kind == "comment":
                constants = self.constants(out, constants)
                out += [f"### {SECTION.match(item.text).group(1).capitalize()}", ""]
                continue
            kind, name = name_of(item)
            if name is None or NOT_PUBLIC.search(name):
                continue
            if kind == "constant" and "SLUICE_STATUS_TABLE(X)" in item.text:
                self.statuses(out, item)
                continue
            if not item.own and not item.grouped:
                self.problem(item, kind, name)
            if kind == "constant":
                if not item.grouped:
                    constants = self.constants(out, constants)
                constants.append((name, item))
                continue
            constants = self.constants(out, constants)
            if kind == "struct":
                self.struct(out, name, item)
            else:
                signature = re.sub(r"\s+", " ", re.sub(r"\s*\{.*", ";", item.text, flags=re.S))
                signature = signature.removeprefix("SLUICE_CLIENT_API ")
                out += [f"#### `{name}`", "", "```c", signature, "```", "", item.doc, ""]
        self.constants(out, constants)
        return "\n".join(out)

    @staticmethod
    def constants(out, constants):
        if constants:
            docs = [item.doc for _, item in constants if item.doc]
            shared = docs[0] if len(docs) == 1 and constants[0][1].doc else ""
            if shared:
                out += [shared, ""]
            out += ["| constant | value | |", "|---|---|---|"]
            for name, item in constants:
                value = re.sub(r"#\s*define\s+\w+(\([^)]*\))?", "", item.text).strip()
                value = re.sub(r"\s*\\\n\s*", " ", value)
                words = "" if shared else item.doc.replace("\n", " ")
                shown = f"`{value}`" if len(value) <= 40 else "a macro"
                out.append(f"| `{name}` | {shown} | {words} |")
            out.append("")
        return []

    @staticmethod
    def statuses(out, item):
        out += ["| status | number | Kafka | HTTP | gRPC | try again | sentence |", "|---|---|---|---|---|---|---|"]
        row = re.compile(r'X\((\w+),\s*(\d+),\s*(-?\d+),\s*(\d+),\s*(\d+),\s*(\d),\s*"([^"]*)"\)')
        for suffix, number, kafka, http, grpc, retry, text in row.findall(item.text):
            again = "yes" if retry == "1" else ""
            out.append(f"| `SLUICE_{suffix}` | {number} | {kafka} | {http} | {grpc} | {again} | {text} |")
        out.append("")

    def struct(self, out, name, item):
        out += [f"#### `struct {name}`", "", item.doc, ""]
        members = [m for m in attach(items_of(*item.body)) if m.kind in ("declaration", "directive")]
        data = [(m, name_of(m)) for m in members]
        plain_members = [m for m, (kind, _) in data if kind == "member"]
        if plain_members:
            width = max(len(member.text) for member in plain_members)
            out += ["```c"]
            for member in plain_members:
                words = " ".join(member.doc.split())
                if len(words) > 80:
                    out += textwrap.wrap("/* " + words + " */", 96, subsequent_indent=" * ")
                out.append(f"{member.text:{width}}  /* {words} */" if 0 < len(words) <= 80 else member.text)
            out += ["```", ""]
        for member, (kind, slot) in data:
            if kind != "slot":
                continue
            if not member.own and not member.grouped:
                self.problem(member, "slot", f"{name}.{slot}")
            signature = re.sub(r"\s+", " ", member.text)
            out += ["```c", signature, "```", ""] + ([member.doc, ""] if member.doc else [])


def missing_of(folder, order, where):
    return [f"{os.path.relpath(folder, ROOT)}/{name}: not in {where} of sdk/reference.py; add it"
            for name in sorted(set(os.listdir(folder)) - set(order) - {"sluice.h"})]


def page_of(intro, headers, problems):
    """The page; what has no comment goes to the problems."""
    page = "\n".join(intro + [header.page() for header in headers])
    for header in headers:
        problems += header.problems
    return re.sub(r"\n{3,}", "\n\n", page).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("headers", nargs="*", default=ORDER)
    args = parser.parse_args()
    problems = missing_of(INCLUDE, ORDER, "ORDER") + missing_of(CLIENT_INCLUDE, CLIENT_ORDER, "CLIENT_ORDER")
    intro = ["# The SDK, header by header", "", "Written by `sdk/reference.py` from the headers; do not edit.",
             "How to begin: [plugins in C](../plugins/c.md), [in Lua](../plugins/lua.md).", ""]
    pages = [(PAGE, page_of(intro, [Header(name) for name in args.headers], problems))]
    if args.headers is ORDER:
        intro = ["# The client library, header by header", "", "Written by `sdk/reference.py` from the headers; do not edit.",
                 "How to begin: [the client library](../client.md).", ""]
        headers = [Header(name, CLIENT_INCLUDE) for name in CLIENT_ORDER]
        pages.append((CLIENT_PAGE, page_of(intro, headers, problems)))
    for path, page in pages if not problems else []:
        if args.check:
            with open(path, encoding="utf-8") as file:
                if file.read() != page:
                    problems.append(f"{os.path.relpath(path, ROOT)} is not what the headers say; run sdk/reference.py")
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(page)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
