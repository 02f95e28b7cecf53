#!/usr/bin/python3
"""Completion as it is typed: each shell on a terminal of its own, with the script that is installed for it.

A command line is typed with the Tab key after a few characters of each word; the shell must run the whole words.
"""
import os
import pty
import select
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import CTL, PATIENCE, SOURCE, Daemon, main, make_shop  # noqa: E402

SCRIPTS = os.path.join(SOURCE, "ctl/completions")


class Completion(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        make_shop(self.daemon.path("shop.db"), customers=1, orders=1)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.daemon.path('shop.db')}")
        self.typed = self.daemon.path("typed")
        # Notes what the shell runs; what completion asks goes to the program.
        programs = self.daemon.path("bin")
        os.mkdir(programs)
        with open(os.path.join(programs, "dbbackupctl"), "w", encoding="utf-8") as file:
            file.write(f"""#!/bin/sh
[ "$1" = __complete ] && exec '{CTL}' "$@"
printf '%s\\n' "$*" >'{self.typed}.new'
mv '{self.typed}.new' '{self.typed}'
""")
        os.chmod(os.path.join(programs, "dbbackupctl"), 0o755)
        self.environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": self.daemon.folder, "TERM": "vt100", "LC_ALL": "C.UTF-8",
                            "DBBACKUP_SOCKET": self.daemon.socket}

    def run_line(self, shell, setup, line):
        """Types `setup` and `line` into the shell; returns the words its command got."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(shell[0], shell, self.environment)
        seen = b""
        try:
            os.write(terminal, (setup + "echo rea''dy\r").encode())
            deadline = time.monotonic() + PATIENCE
            begun = False
            while not os.path.exists(self.typed):
                self.assertLess(time.monotonic(), deadline, f"{shell[0]} ran nothing; its terminal: {seen!r}")
                if select.select([terminal], [], [], 0.1)[0]:
                    seen += os.read(terminal, 4096)
                if not begun and b"ready" in seen:
                    begun = True
                    os.write(terminal, line.encode())
        finally:
            os.kill(pid, signal.SIGKILL)
            os.close(terminal)
            os.waitpid(pid, 0)
        with open(self.typed, encoding="utf-8") as file:
            return file.read().split()

    def check(self, shell, setup):
        words = self.run_line(shell, setup, "dbbackupctl arti\tlis\t--datab\tsho\t\r")
        self.assertEqual(words, ["artifact", "list", "--database", "shop"])
        os.remove(self.typed)
        words = self.run_line(shell, setup, "dbbackupctl --outp\tjsonl\tschedule add n --catch\tski\t\r")
        self.assertEqual(words, ["--output", "jsonl", "schedule", "add", "n", "--catch-up", "skip"])

    def test_bash(self):
        self.check(["/bin/bash", "--norc", "--noprofile", "-i"], f"source {SCRIPTS}/dbbackupctl.bash\r")

    def test_zsh(self):
        functions = self.daemon.path("functions")
        os.mkdir(functions)
        os.symlink(f"{SCRIPTS}/dbbackupctl.zsh", f"{functions}/_dbbackupctl")
        self.check(["/bin/zsh", "-f", "-i"], f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -d {self.daemon.path('dump')}\r")

    def test_zsh_sourced(self):
        self.check(["/bin/zsh", "-f", "-i"], f"autoload -U compinit; compinit -u -d {self.daemon.path('dump')}; source {SCRIPTS}/dbbackupctl.zsh\r")

    def test_fish(self):
        self.check(["/usr/bin/fish", "--no-config", "-i"], f"source {SCRIPTS}/dbbackupctl.fish\r")


if __name__ == "__main__":
    main()
