#!/usr/bin/python3
"""Repositories on object stores, with the two programs as black boxes: everything on S3, a round trip on each of the others, and
the faults of a network in between."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import object_stores as servers  # noqa: E402
from fault_proxy import Fault, FaultProxy  # noqa: E402
from fixture import DAEMON, Daemon, content, main, make_shop  # noqa: E402
from gcs_stand_in import TokenServer  # noqa: E402

SECRETS = ("secret_key", "account_key", "sas_token")


def storage_options(daemon, options):
    """The options as command line words; secrets go through files."""
    words = []
    for name, value in options.items():
        if name in SECRETS:
            path = daemon.path(name + ".secret")
            with open(path, "w", encoding="utf-8") as file:
                file.write(value + "\n")
            value = "@" + path
        words += ["--option", f"{name}={value}"]
    return words


class Stores(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")

    def add(self, url, options, name="far", daemon=None):
        daemon = daemon or self.daemon
        return daemon.json("repository", "add", name, url, *storage_options(daemon, options))["recovery_key"]

    def backup(self, repository="far", database="shop"):
        run = self.daemon.json("backup", database, "--repository", repository, "--wait")
        run = run.get("run", run)
        self.assertEqual(run["state"], "succeeded", run)
        return run["artifact"]

    def restore_and_compare(self, artifact, expected, name):
        path = self.daemon.path(name + ".db")
        self.daemon.ok("database", "add", name, f"sqlite://{path}")
        self.daemon.ok("database", "allow-restore", name)
        self.daemon.ok("restore", artifact, "--to", name, "--wait")
        self.assertEqual(content(path), expected)

    def make_noise(self, megabytes, path=None):
        """Random rows: what does not compress and was not stored before."""
        db = sqlite3.connect(path or self.shop)
        db.execute("CREATE TABLE IF NOT EXISTS noise (id INTEGER PRIMARY KEY, data BLOB)")
        db.execute("DELETE FROM noise")
        db.executemany("INSERT INTO noise (data) VALUES (?)", ((os.urandom(64 << 10),) for _ in range(megabytes * 16)))
        db.commit()
        db.close()

    def round_trip(self, url, options):
        self.add(url, options)
        artifact = self.backup()
        self.daemon.ok("artifact", "drill", artifact, "--wait")
        self.daemon.ok("repository", "check", "far", "--read-data", "--wait")
        self.restore_and_compare(artifact, content(self.shop), "restored")
        shown = self.daemon.ok("repository", "show", "far", "-o", "json").out + self.daemon.ok("events", "-o", "json").out
        for name, value in options.items():
            if name in SECRETS:
                self.assertNotIn(value, shown + self.daemon.log())


class OthersThanS3(Stores):
    def test_azure(self):
        with servers.Azurite() as server:
            self.round_trip(server.url + "/db", server.options)

    def test_google_cloud(self):
        with TokenServer() as tokens, servers.FakeGcs(tokens.options) as server:
            self.round_trip(server.url + "/db", server.options)

    def test_sftp(self):
        with servers.Sshd() as server:
            self.round_trip(server.url, server.options)
            wrong = dict(server.options, known_hosts_file=server.path("wrong_hosts"))
            refused = self.daemon.ctl("repository", "add", "wrong", server.url, *storage_options(self.daemon, wrong))
            self.assertIn("known_hosts_file", refused.err)
            stranger = dict(server.options, private_key_file=server.path("other"))
            refused = self.daemon.ctl("repository", "add", "wrong", server.url, *storage_options(self.daemon, stranger))
            self.assertIn("permission_denied", refused.err)


class OnS3(Stores):
    @classmethod
    def setUpClass(cls):
        cls.server = servers.SeaweedFS()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.url = f"{self.server.url}/{self.id().rsplit('.', 1)[1].replace('_', '-')}"

    def objects(self, below=""):
        prefix = self.url.split("/", 3)[3] + "/" + below
        body = self.server.must("GET", f"/{servers.BUCKET}", query=f"list-type=2&prefix={prefix.replace('/', '%2F')}").decode()
        return [part.split("</Key>")[0][len(prefix) - len(below):] for part in body.split("<Key>")[1:]]

    def proxied(self, latency=0.0):
        proxy = FaultProxy(self.server.port, latency)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy, dict(self.server.options, endpoint=proxy.endpoint)

    def test_everything(self):
        self.round_trip(self.url, self.server.options)
        before = content(self.shop)
        first = self.daemon.json("artifact", "list")["artifacts"][0]["id"]
        self.make_noise(4)
        second = self.backup()
        self.daemon.ok("artifact", "remove", second, "--yes")
        packs = len(self.objects("packs/"))
        for _ in range(2):
            self.daemon.ok("repository", "prune", "far", "--wait")
        self.assertLess(len(self.objects("packs/")), packs)
        self.daemon.ok("repository", "rescan", "far", "--wait")
        self.daemon.ok("repository", "check", "far", "--read-data", "--wait")
        self.restore_and_compare(first, before, "again")

    def test_rescue_on_a_bare_host(self):
        key = self.add(self.url, self.server.options)
        artifact = self.backup()
        key_file = self.daemon.path("recovery.key")
        with open(key_file, "w", encoding="utf-8") as file:
            file.write(key)
        to = self.daemon.path("rescued.db")
        options = []
        for name, value in self.server.options.items():
            options += ["--option", f"{name}={'env:THE_KEY' if name == 'secret_key' else value}"]
        self.daemon.stop()
        words = [DAEMON, "rescue", "restore", "latest", "--repository", self.url, *options, "--recovery-key-file", key_file, "--to",
                 f"sqlite://{to}"]
        done = subprocess.run(words, env=dict(os.environ, THE_KEY=servers.SECRET_KEY), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(artifact, done.stdout)
        self.assertEqual(content(to), content(self.shop))

    def test_secrets_and_their_renewal(self):
        d = self.daemon
        plain = d.ctl("repository", "add", "far", self.url, "--option", f"secret_key={servers.SECRET_KEY}")
        self.assertEqual(plain.code, 64)
        self.assertIn("secret_key=@FILE", plain.err)
        self.assertNotIn(servers.SECRET_KEY, plain.err)
        wrong = d.ctl("repository", "add", "far", self.url, *storage_options(d, dict(self.server.options, secret_key="wrong")))
        self.assertIn("permission_denied", wrong.err)
        self.assertIn("secret key is wrong", wrong.err)
        self.assertEqual(d.json("repository", "list")["repositories"][0]["name"], "default")
        self.add(self.url, self.server.options)
        shown = d.json("repository", "show", "far")["repository"]
        self.assertEqual(shown["secret_options"], ["secret_key"])
        self.assertEqual(shown["state"], "ready")
        refused = d.ctl("repository", "update", "far", "--option", "secret_key=env:NEW", environment={"NEW": "wrong, too"})
        self.assertIn("permission_denied", refused.err)
        self.backup()  # the old ones are still in force
        d.ok("repository", "update", "far", "--option", "secret_key=-", stdin=servers.SECRET_KEY + "\n")
        d.ok("repository", "update", "far", "--option", "upload_limit=100MiB")
        self.backup()
        elsewhere = d.ctl("repository", "update", "far", "--url", self.url + "/elsewhere")
        self.assertNotEqual(elsewhere.code, 0)
        self.assertIn("unknown option 'regoin'", d.ctl("repository", "update", "far", "--option", "regoin=x").err)

    def test_credentials_file_is_read_again(self):
        path = self.daemon.path("aws")

        def write(secret):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"[default]\naws_access_key_id = {servers.ACCESS_KEY}\naws_secret_access_key = {secret}\n")
        write(servers.SECRET_KEY)
        proxy, options = self.proxied()
        self.add(self.url, {"endpoint": options["endpoint"], "credentials_file": path})
        self.backup()
        # The service takes the old ones back: the first refusal has the file read again.
        write(servers.SECRET_KEY)
        proxy.inject("HEAD", "config", Fault.status(403))
        self.backup()

    def test_a_missing_permission_is_named(self):
        proxy, options = self.proxied()
        for method, path, named in (("PUT", "probe", "s3:PutObject"), ("GET", "/probe/", "s3:GetObject"), ("GET", "list-type", "s3:ListBucket"),
                                    ("DELETE", "probe", "s3:DeleteObject")):
            with self.subTest(permission=named):
                proxy.inject(method, path, Fault.status(403), count=100)
                refused = self.daemon.ctl("repository", "add", "far", self.url, *storage_options(self.daemon, options))
                self.assertIn(named, refused.err)
                proxy.check_fired()
                proxy.clear()
        self.assertEqual(len(self.daemon.json("repository", "list")["repositories"]), 1)

    def test_a_wrong_clock_is_diagnosed(self):
        proxy, options = self.proxied()
        skewed = Fault.status(403, name="RequestTimeTooSkewed", date="Sun, 06 Nov 1994 08:49:37 GMT")
        proxy.inject("PUT", "probe", skewed, count=100)
        refused = self.daemon.ctl("repository", "add", "far", self.url, *storage_options(self.daemon, options))
        self.assertIn("ahead of the server's", refused.err)
        self.assertIn("set the clock", refused.err)

    def test_a_backup_lives_through_faults(self):
        proxy, options = self.proxied()
        self.add(self.url, options)
        self.backup()
        faults = {"reset before": Fault.RESET_BEFORE, "reset during": Fault.RESET_DURING, "reset after": Fault.RESET_AFTER,
                  "status 500": Fault.status(500), "slow down": Fault.status(503, 1), "twice": Fault.TWICE, "stall": Fault.stall(1)}
        for name, fault in faults.items():
            with self.subTest(fault=name):
                self.make_noise(6)
                proxy.inject("PUT", "/packs/", fault)
                proxy.inject("PUT", "/index/", fault)
                # A manifest is created once: what a repetition finds there is its own.
                proxy.inject("PUT", "/artifacts/|/manifests/", Fault.RESET_AFTER if fault == Fault.TWICE else fault)
                artifact = self.backup()
                proxy.check_fired()
                proxy.clear()
                self.daemon.ok("artifact", "verify", artifact, "--wait")
        self.daemon.ok("repository", "check", "far", "--read-data", "--wait")
        for name, fault in (("truncated", Fault.TRUNCATE), ("reset", Fault.RESET_AFTER), ("status 503", Fault.status(503))):
            with self.subTest(reading=name):
                proxy.inject("GET", "/packs/", fault, count=2)
                self.restore_and_compare("latest", content(self.shop), name.replace(" ", "-"))
                proxy.check_fired()
                proxy.clear()

    def test_a_storm_ends_in_a_clear_error(self):
        proxy, options = self.proxied()
        self.add(self.url, options)
        good = self.backup()
        self.make_noise(2)
        proxy.inject("PUT", "/packs/", Fault.status(500), count=1000)
        run = self.daemon.ctl("-o", "json", "backup", "shop", "--repository", "far", "--wait", timeout=300)
        self.assertEqual(run.code, 1, run)
        run = json.loads(run.out)
        error = run.get("run", run)["error"]
        self.assertEqual(error["code"], "unavailable")
        self.assertIn("cannot store packs/", error["message"])
        proxy.clear()
        self.assertEqual(len(self.daemon.json("artifact", "list")["artifacts"]), 1)
        self.daemon.ok("artifact", "drill", good, "--wait")
        self.daemon.ok("artifact", "drill", self.backup(), "--wait")

    def test_a_listing_that_lags_loses_nothing(self):
        proxy, options = self.proxied()
        self.add(self.url, options)
        old = self.backup()
        self.daemon.ok("repository", "prune", "far", "--wait")  # remembers what the listings say now
        self.make_noise(3)
        fresh = self.backup()
        proxy.inject("GET", "list-type=2", Fault.OLD_LISTING, count=1000)
        self.daemon.ctl("repository", "prune", "far", "--wait")
        proxy.check_fired()
        proxy.clear()
        for _ in range(2):
            self.daemon.ok("repository", "prune", "far", "--wait")
        for artifact in (old, fresh):
            self.daemon.ok("artifact", "drill", artifact, "--wait")

    def test_an_interrupted_backup_goes_on_where_it_was(self):
        self.daemon.stop()
        self.daemon.start({"DBBACKUP_KILL_AT": "backup.after_pack:3"})
        proxy, options = self.proxied()
        self.add(self.url, options)
        self.make_noise(100)
        self.daemon.ctl("backup", "shop", "--repository", "far", "--wait")
        self.assertEqual(self.daemon.wait(), -signal.SIGKILL)
        stored = sum(1 for method, path in proxy.requests if method == "PUT" and "/packs/" in path)
        self.assertGreaterEqual(stored, 3)
        self.daemon.start()
        proxy.reset_counts()
        artifact = self.backup()
        self.assertLess(proxy.sent_bytes, 75 << 20, "what was stored before was sent again")
        self.daemon.ok("artifact", "drill", artifact, "--wait")

    def test_one_table_moves_little_more_than_itself(self):
        proxy, options = self.proxied()
        self.add(self.url, options)
        self.make_noise(40)
        artifact = self.backup()
        path = self.daemon.path("one.db")
        self.daemon.ok("database", "add", "one", f"sqlite://{path}")
        self.daemon.ok("database", "allow-restore", "one")
        proxy.reset_counts()
        self.daemon.ok("restore", artifact, "--to", "one", "--include", "customers", "--wait")
        self.assertLess(proxy.answered_bytes, 1 << 20)

    def test_locked_objects_stay_until_their_lock_ends(self):
        url = f"s3://{self.server.locked_bucket}/locks"
        self.add(url, dict(self.server.options, object_lock_days="1"))
        kept = self.backup()
        self.make_noise(2)
        doomed = self.backup()
        refused = self.daemon.ctl("artifact", "remove", doomed, "--yes")
        self.assertIn("locked until", refused.err)
        for _ in range(3):
            self.daemon.ok("repository", "prune", "far", "--wait")
        for artifact in (kept, doomed):
            self.daemon.ok("artifact", "drill", artifact, "--wait")


if __name__ == "__main__":
    main()
