#!/usr/bin/python3
"""The fidelity checklist on every supported version of PostgreSQL, and what happens without a pg_dump that is new enough."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
sys.path.insert(0, HERE)
from fixture import SOURCE, main  # noqa: E402
import postgresql_test  # noqa: E402
from postgresql import DEFAULT_PROGRAMS  # noqa: E402

CACHE = subprocess.run([os.path.join(SOURCE, "tests/support/fetch-postgresql-servers")], check=True, capture_output=True,
                       text=True).stdout.strip().split("\n")[-1]
# Server, and the programs that fit it: Debian's pg_dump reads servers up to its own version.
VERSIONS = {13: DEFAULT_PROGRAMS, 14: DEFAULT_PROGRAMS, 16: f"{CACHE}/client-16/bin", 17: f"{CACHE}/client-18/bin", 18: f"{CACHE}/client-18/bin"}
TESTS = ("test_every_object_and_value_comes_back", "test_chosen_tables_bring_what_they_depend_on", "test_replace_changes_nothing_until_all_is_proved")


def load_tests(loader, _tests, _pattern):
    suite = loader.suiteClass()
    for version, programs in VERSIONS.items():
        case = type(f"Postgresql{version}", (postgresql_test.Postgresql,),
                    {"programs": f"{CACHE}/server-{version}/bin", "client": programs, "options": (f"program_folder={programs}",)})
        for name in TESTS:
            suite.addTest(case(name))
    suite.addTest(TooOld("test_an_older_pg_dump_is_refused"))
    return suite


class TooOld(postgresql_test.Postgresql):
    programs = f"{CACHE}/server-18/bin"

    def test_an_older_pg_dump_is_refused(self):
        self.server.create("shop")
        self.add("shop", "shop", options=(f"program_folder={DEFAULT_PROGRAMS}",))
        for result in (self.daemon.ctl("backup", "shop", "--wait"), self.daemon.ctl("database", "test", "shop")):
            self.assertNotEqual(result.code, 0)
            self.assertIn("postgresql-client-18", result.err + result.out)


if __name__ == "__main__":
    main()
