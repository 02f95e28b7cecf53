#!/usr/bin/python3
"""Runs every command of the README and of the man pages' EXAMPLES, in order, against a daemon of its own.

README: lines that begin with `$ ` inside ```console blocks. Man pages: the commands of the section EXAMPLES. Paths below /srv and
/mnt stand for a temporary folder. A command may fail only where the document says so with `# exit N` behind it.
"""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import BIN, PATIENCE, SOURCE, Daemon, main, make_shop  # noqa: E402


def joined(lines):
    """Commands over several lines, ended by backslashes, as one."""
    command = ""
    for line in lines:
        command += line.rstrip("\\") if line.endswith("\\") else line
        if not line.endswith("\\"):
            yield command
            command = ""


def readme_commands():
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        text = file.read()
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        lines, inside = [], False
        for line in block.splitlines():
            if line.startswith("$ "):
                lines.append(line[2:])
                inside = line.endswith("\\")
            elif inside:
                lines.append(line.strip())
                inside = line.endswith("\\")
        yield from joined(lines)


def man_commands(page):
    text = subprocess.run(["man", "-l", os.path.join(SOURCE, page)], capture_output=True, text=True, check=True,
                          env=dict(os.environ, MANWIDTH="200", MAN_KEEP_FORMATTING="", LC_ALL="C.UTF-8")).stdout
    text = re.sub(r".\x08", "", text)
    section = re.search(r"^EXAMPLES\n(.*?)^[A-Z]", text, re.S | re.M).group(1)
    lines, inside = [], False
    for line in section.splitlines():
        stripped = line.strip().replace("‐", "-").replace("’", "'")
        if inside or re.match(r"(dbbackupctl|dbbackupd|systemctl|journalctl|cat|ls) ", stripped):
            lines.append(stripped)
            inside = stripped.endswith("\\")
    yield from joined(lines)


class Documentation(unittest.TestCase):
    def run_commands(self, commands):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        srv = daemon.path("srv")
        os.makedirs(os.path.join(srv, "shop"))
        make_shop(os.path.join(srv, "shop", "shop.db"))
        env = dict(os.environ, DBBACKUP_SOCKET=daemon.socket, PATH=f"{BIN}/ctl:{BIN}/daemon:" + os.environ["PATH"], HOME=daemon.folder)
        count = 0
        for command in commands:
            if command.startswith(("git ", "cd ", "daemon/quickstart", "tests/", "sudo ", "systemctl ", "journalctl ", "cmake ", "export ")):
                continue  # covered by their own tests, or about the machine's own service
            expected = re.search(r"# exit (\d+)$", command)
            line = re.sub(r"(?<![\w.])/(srv|mnt)(?=/)", lambda match: daemon.path(match.group(1)), command)
            line = line.replace("/var/lib/dbbackup/", daemon.state + "/")
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env, cwd=daemon.folder, timeout=PATIENCE, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, int(expected.group(1)) if expected else 0, f"{command}\n{done.stdout}{done.stderr}")
            count += 1
        self.assertGreater(count, 0)

    def test_readme(self):
        self.run_commands(readme_commands())

    def test_dbbackupctl_1(self):
        self.run_commands(man_commands("ctl/dbbackupctl.1"))

    def test_dbbackupd_8_rescue(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        text = " ".join(man_commands("daemon/dbbackupd.8"))
        self.assertIn("rescue", text)

    def test_man_pages_are_clean(self):
        for page in ("ctl/dbbackupctl.1", "daemon/dbbackupd.8", "config/dbbackupd.yaml.5"):
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(SOURCE, page)], capture_output=True, text=True,
                                  env=dict(os.environ, LC_ALL="C.UTF-8"))
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)


if __name__ == "__main__":
    main()
