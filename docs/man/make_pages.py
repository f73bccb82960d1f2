#!/usr/bin/env python3
"""make_pages.py SLUICE FOLDER: the man pages, by scdoc, into FOLDER/man1, man5 and man7.

Those of section 1 and 5 are what `sluice manual` says of its tables; sluice-plugin(7) and sluice-lua(7) are
the pages of docs/plugins, which are Markdown."""
import os
import re
import subprocess
import sys

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "plugins")
GUIDES = {
    "sluice-plugin.7": ("how to write, test, load and replace plugins of sluice(1)",
                        ["c.md", "errors.md", "state.md", "versions.md", "reload.md", "workbench.md"],
                        "*sluice-plugin*(1), *sluice-lua*(7)"),
    "sluice-lua.7": ("plugins of sluice(1) in Lua", ["lua.md"], "*sluice-plugin*(7), *sluice-plugin*(1)"),
}


def escaped(text):
    return re.sub(r"([_*\\#\[\]|.`~<>-])", r"\\\1", text)


def inline(text):
    """Links to their words, code in bold."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"`([^`]*)`", text)
    out = ""
    for i, part in enumerate(parts):
        if i % 2:
            out += "*" + escaped(part) + "*" if part.strip() else escaped(part)
        else:
            out += escaped(part.replace("**", ""))
    # bold that touches a word is not bold to scdoc: keep it plain
    return re.sub(r"(?<=\w)\*((?:\\.|[^*\\])*)\*|\*((?:\\.|[^*\\])*)\*(?=\w)", lambda m: m.group(1) or m.group(2) or "", out)


def scdoc_of(markdown, level):
    out, code, table = [], False, False
    for line in markdown.split("\n"):
        if line.startswith("```"):
            code = not code
            out += ["", "```"] if code else ["```", ""]
        elif code:
            out.append(line.replace("\\", "\\\\"))
        elif line.startswith("|"):
            if not table:
                out += ["", "```"]
            table = True
            if not re.fullmatch(r"[|\s:-]+", line):
                out.append("  ".join(cell.strip().replace("`", "").replace("\\", "\\\\") for cell in line.strip("|").split("|")))
        else:
            if table:
                out += ["```", ""]
                table = False
            heading = re.match(r"(#+) (.*)", line)
            if heading:
                deep = len(heading.group(1)) > level
                title = heading.group(2).replace("`", "")
                out += ["", ("## " if deep else "# ") + escaped(title if deep else title.upper()), ""]
            elif re.match(r"[-*] ", line):
                out.append("- " + inline(line[2:]))
            elif re.match(r"\d+\. ", line):
                out.append(". " + inline(line.split(" ", 1)[1]))
            elif out and re.match(r"[-.] ", out[-1]) and line.startswith("  ") and line.strip():
                out[-1] += " " + inline(line.strip())
            else:
                out.append(inline(line.strip()))
    if table:
        out.append("```")
    return "\n".join(out)


def guide(page):
    about, files, also = GUIDES[page]
    name, section = page.rsplit(".", 1)
    text = f"{name}({section})\n\n# NAME\n\n{name} - {escaped(about)}\n"
    for file in files:
        with open(os.path.join(DOCS, file), encoding="utf-8") as handle:
            text += "\n" + scdoc_of(handle.read(), 1) + "\n"
    return re.sub(r"\n{3,}", "\n\n", text) + f"\n# SEE ALSO\n\n{also}\n"


def write(folder, page, source):
    section = os.path.join(folder, "man" + page[-1])
    os.makedirs(section, exist_ok=True)
    done = subprocess.run(["scdoc"], input=source.encode(), capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{page}: {done.stderr.decode()}")
    with open(os.path.join(section, page), "wb") as out:
        out.write(done.stdout)


def main(sluice, folder):
    pages = subprocess.run([sluice, "manual"], check=True, capture_output=True, text=True).stdout.split()
    for page in pages:
        if page[-1].isdigit():
            write(folder, page, subprocess.run([sluice, "manual", page], check=True, capture_output=True, text=True).stdout)
    for page in GUIDES:
        write(folder, page, guide(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
