# SPDX-License-Identifier: MIT
"""What the checks written in Python share: the files to look at, C text without its comments, reporting."""
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.environ.get("LINT_ROOT") or os.path.join(os.path.dirname(__file__), "..", ".."))

# Where tools keep what they fetched and built, whichever tree is looked at.
BUILD = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "build"))

C_SUFFIXES = (".c", ".h", ".cc")

_problems = 0


def files(*suffixes):
    """Paths below ROOT of all files that are tracked or would be; with suffixes, only those."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ) if os.path.exists(os.path.join(ROOT, ".git")) else None
    if listing is not None and listing.returncode == 0:
        found = [name for name in listing.stdout.split("\0") if name]
    else:
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in (".git", "build", "node_modules", "__pycache__")]
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    found = [name for name in found if os.path.isfile(os.path.join(ROOT, name))]
    return sorted(name for name in found if not suffixes or name.endswith(suffixes))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_only(text, keep_strings=False):
    """C text with comments (and the inside of strings) blanked; every line and column stays where it is."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return _TOKEN.sub(blank, text)


def report(path, line, message):
    global _problems
    _problems += 1
    print(f"{path}:{line}: {message}")


def note(path, line, message):
    print(f"{path}:{line}: note: {message}")


def finish():
    sys.exit(1 if _problems else 0)
