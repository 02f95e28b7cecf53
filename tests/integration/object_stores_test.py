#!/usr/bin/python3
"""The store contract against real servers: SeaweedFS (S3), Azurite, fake-gcs-server, OpenSSH's sshd; MinIO when asked for."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import object_stores as servers  # noqa: E402
from fixture import BIN, main  # noqa: E402
from gcs_stand_in import ObjectServer, TokenServer  # noqa: E402

PROGRAM = os.path.join(BIN, "tests/remote_store_tests")


class Contract(unittest.TestCase):
    def keep(self, url, options, *tags):
        environment = dict(os.environ, DBBACKUP_TEST_STORE=url,
                           DBBACKUP_TEST_STORE_OPTIONS="\n".join(f"{name}={value}" for name, value in options.items()))
        done = subprocess.run([PROGRAM, ",".join(f"[.{tag}]" for tag in tags)], env=environment, text=True, timeout=400,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertIn("All tests passed", done.stdout)

    def keep_s3(self, server):
        self.keep(server.url, server.options, "remote", "pages", "secret")
        self.keep(f"s3://{server.locked_bucket}", server.options, "locks")

    def test_s3_on_seaweedfs(self):
        with servers.SeaweedFS() as server:
            self.keep_s3(server)

    @unittest.skipUnless(servers.minio(), "MinIO is the second opinion on S3, used when DBBACKUP_TEST_MINIO asks for it")
    def test_s3_on_minio(self):
        with servers.MinIO() as server:
            self.keep_s3(server)

    def test_azure_on_azurite(self):
        with servers.Azurite() as server:
            self.keep(server.url, server.options, "remote", "secret")
            self.keep(server.url + "/sas", {"endpoint": server.endpoint, "sas_token": server.sas_token()}, "remote")

    def test_gcs_on_fake_gcs_server(self):
        with TokenServer() as tokens, servers.FakeGcs(tokens.options) as server:
            self.keep(server.url, server.options, "remote")
            self.assertTrue(tokens.tokens)

    def test_gcs_details_on_the_stand_in(self):
        with TokenServer() as tokens, ObjectServer(tokens) as server:
            server.breaks, server.partial, server.revoke_at = 2, 2, 20
            self.keep("gs://bucket", dict(tokens.options, endpoint=server.address), "remote", "pages")
            self.assertEqual((server.breaks, server.partial), (0, 0), "uploads were not broken")
            self.assertGreater(server.asked_how_far, 0)
            self.assertGreater(server.refused_tokens, 0)
            self.assertGreater(server.preconditions, 0)
            self.assertEqual(server.md5_refused, 0)

    def test_gcs_with_the_identity_of_the_machine(self):
        with TokenServer() as tokens, ObjectServer(tokens) as server:
            tokens.life = 1  # shorter than the margin: every request fetches a token of its own
            self.keep("gs://bucket", dict(tokens.metadata_options, endpoint=server.address), "proof")
            self.assertGreater(tokens.metadata_asked, 3)

    def test_sftp_on_openssh(self):
        with servers.Sshd() as server:
            self.keep(server.url, server.options, "remote")


if __name__ == "__main__":
    main()
