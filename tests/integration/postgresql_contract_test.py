#!/usr/bin/python3
"""The contract of all engines, kept by PostgreSQL: starts a server and runs the hidden case of contract_tests on it."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import BIN, main  # noqa: E402
from postgresql import PostgresqlServer  # noqa: E402


class Contract(unittest.TestCase):
    def test_contract(self):
        with PostgresqlServer() as server:
            environment = dict(os.environ, DBBACKUP_TEST_POSTGRESQL_URL=server.url(""), DBBACKUP_TEST_POSTGRESQL_PASSWORD=server.password)
            result = subprocess.run([os.path.join(BIN, "tests/contract_tests"), "[.postgresql]"], env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("All tests passed", result.stdout)


if __name__ == "__main__":
    main()
