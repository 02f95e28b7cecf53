#!/usr/bin/python3
"""Checks every #include of the tree against the table in lib/README.md.

Rules: a room includes only rooms its row names; a third-party library's headers appear only in the .cpp files of its home room
(Boost.JSON's value headers excepted: util/json.hpp re-exports them); ctl uses control and util only; daemon/ may use everything of
ours, systemd and Program_options.
"""
import os
import re
import sys

ROOT = os.environ.get("DBBACKUP_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# How a library's headers begin.
LIBRARIES = {
    "spdlog": r"spdlog/", "fmt": r"fmt/", "boost/json": r"boost/json", "sqlite3": r"sqlite3(ext)?\.h$",
    "sodium": r"sodium", "date": r"date/", "zstd": r"(zstd|zdict)", "xxhash": r"xxh", "archive": r"archive",
    "boost/asio": r"boost/asio", "yaml-cpp": r"yaml-cpp/", "boost/program_options": r"boost/program_options",
    "systemd": r"systemd/", "curl": r"curl/", "openssl": r"openssl/", "libpq": r"(postgresql/)?libpq",
    "mariadb": r"(mysql(d_error)?|errmsg)\.h$",
}
TOP_LEVEL = {"CMakeLists.txt", "daemon", "ctl", "lib", "config", "systemd", "tests", "README.md", "LICENSE", "CHANGELOG.md",
             "CONTRIBUTING.md", "CMakePresets.json"}


def read_table():
    rooms = {}
    with open(os.path.join(ROOT, "lib/README.md"), encoding="utf-8") as file:
        for line in file:
            match = re.match(r"\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|", line)
            if match:
                uses = set(match.group(2).split()) - {"-"}
                home = set(match.group(3).split()) - {"-"}
                rooms[match.group(1)] = (uses, home)
    return rooms


def includes(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                yield number, match.group(1), match.group(2)


def sources(folder):
    for base, _, names in os.walk(os.path.join(ROOT, folder)):
        for name in names:
            if name.endswith((".cpp", ".hpp")):
                yield os.path.join(base, name)


def library_of(header):
    for library, pattern in LIBRARIES.items():
        if re.match(pattern, header):
            return library
    return None


def main():
    rooms = read_table()
    problems = []
    checked = 0
    folders = {name for name in os.listdir(os.path.join(ROOT, "lib")) if os.path.isdir(os.path.join(ROOT, "lib", name))}
    if folders != set(rooms):
        problems.append(f"lib/README.md and the folders disagree: {sorted(folders ^ set(rooms))}")

    owners = [(f"lib/{room}", room, uses | {room}, home) for room, (uses, home) in rooms.items()]
    owners.append(("ctl", "ctl", {"control", "util", "ctl"}, {"boost/program_options"}))
    owners.append(("daemon", "daemon", set(rooms) | {"daemon"}, {"boost/program_options", "systemd"}))
    for folder, owner, may_use, home in owners:
        for path in sources(folder):
            shown = os.path.relpath(path, ROOT)
            for number, kind, header in includes(path):
                checked += 1
                first = header.split("/")[0]
                if kind == '"':
                    if first not in may_use:
                        problems.append(f"{shown}:{number}: {owner} may not use {first} ({header})")
                    continue
                library = library_of(header)
                if library is None:
                    continue
                if library not in home:
                    problems.append(f"{shown}:{number}: {library} is not at home in {owner} ({header})")
                elif path.endswith(".hpp") and not (library == "boost/json" and shown == "lib/util/json.hpp"):
                    problems.append(f"{shown}:{number}: {library} appears in a header ({header})")

    extra = {name for name in os.listdir(ROOT) if not name.startswith(".")} - TOP_LEVEL - {"build"}
    if extra:
        problems.append(f"top-level entries outside the fixed layout: {sorted(extra)}")
    for problem in problems:
        print(problem)
    print(f"{checked} includes checked, {len(problems)} problems")
    return 1 if problems or checked < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
