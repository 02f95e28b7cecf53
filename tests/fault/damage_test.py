#!/usr/bin/python3
"""Flipped bits, truncation, missing and foreign objects in the repository: each is detected and the object is named.
Disk full, read-only folders and wrong keys: a clear error, nothing lost, and the next run works."""
import os
import shutil
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, content, main, make_shop  # noqa: E402


def objects(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            yield os.path.relpath(path, folder), path


class Damage(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.shop = self.daemon.path("shop.db")
        make_shop(self.shop)
        self.daemon.ok("database", "add", "shop", f"sqlite://{self.shop}")
        self.repository = os.path.join(self.daemon.state, "repository")

    def data_objects(self):
        return [(key, path) for key, path in objects(self.repository) if key.split("/")[0] in ("packs", "index", "manifests")]

    def check_names(self, key):
        """A full check in a fresh process fails with exit 7 and names the object."""
        d = self.daemon
        d.stop()
        d.start()
        result = d.ctl("repository", "check", "default", "--read-data", "--wait")
        self.assertEqual(result.code, 7, (key, result))
        run = d.json("run", "list", "--limit", "1")["runs"][0]
        named = {item["object"] for item in d.json("run", "show", run["id"])["run"]["result"]["damage"]}
        self.assertIn(key, named, (key, result))

    def test_each_object_flipped_truncated_and_missing(self):
        self.daemon.backup("shop")
        found = self.data_objects()
        self.assertGreaterEqual({key.split("/")[0] for key, _ in found}, {"packs", "index", "manifests"})
        for key, path in found:
            with open(path, "rb") as file:
                whole = file.read()
            damages = {"first byte": bytes([whole[0] ^ 1]) + whole[1:], "middle": whole[:len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 0x10]) + whole[len(whole) // 2 + 1:],
                       "last byte": whole[:-1] + bytes([whole[-1] ^ 0x80]), "truncated": whole[:-7], "longer": whole + b"x", "empty": b"", "missing": None}
            for name, damaged in damages.items():
                with self.subTest(object=key, damage=name):
                    os.unlink(path)
                    if damaged is not None:
                        with open(path, "wb") as file:
                            file.write(damaged)
                    if name == "missing" and key.startswith("manifests/"):
                        # Nothing is left that names the artifact but the catalog, which a rescan corrects.
                        result = self.daemon.ctl("artifact", "drill", key.split("/")[1], "--wait")
                        self.assertNotEqual(result.code, 0, result)
                    elif name == "missing" and key.startswith("index/"):
                        # The packs' own trailers say the same: nothing is lost.
                        self.daemon.ok("artifact", "drill", "latest", "--wait")
                    else:
                        self.check_names(key)
                    with open(path, "wb") as file:
                        file.write(whole)
                    os.chmod(path, 0o600)
        self.daemon.stop()
        self.daemon.start()
        self.daemon.ok("repository", "check", "default", "--read-data", "--wait")
        self.daemon.ok("artifact", "drill", "latest", "--wait")

    def test_damaged_pack_fails_verify_drill_and_restore_and_marks_the_artifact(self):
        d = self.daemon
        artifact = d.backup("shop")
        packs = [pair for pair in self.data_objects() if pair[0].startswith("packs/")]
        key, path = max(packs, key=lambda pair: os.path.getsize(pair[1]))
        with open(path, "r+b") as file:
            middle = os.path.getsize(path) // 2  # within the pages; the schema's chunk is small
            file.seek(middle)
            byte = file.read(1)
            file.seek(middle)
            file.write(bytes([byte[0] ^ 1]))
        for verb in ("verify", "drill"):
            result = d.ctl("artifact", verb, artifact, "--wait")
            self.assertEqual(result.code, 7, result)
            self.assertIn(key.split("/")[-1], result.err)
        self.assertEqual(d.json("artifact", "show", artifact)["artifact"]["state"], "damaged")
        target = d.path("t.db")
        d.ok("database", "add", "t", f"sqlite://{target}")
        d.ok("database", "allow-restore", "t")
        self.assertEqual(d.ctl("restore", artifact, "--to", "t", "--wait").code, 7)
        self.assertFalse(os.path.exists(target))
        # What was met as damaged is not relied on again: the next backup stores it anew.
        again = d.backup("shop")
        d.ok("artifact", "verify", again, "--wait")
        d.ok("artifact", "drill", again, "--wait")
        # It has the same content, so the old artifact is whole again; verify clears its mark.
        d.ok("artifact", "verify", artifact, "--wait")
        self.assertEqual(d.json("artifact", "show", artifact)["artifact"]["state"], "checked")

    def test_lost_index_and_lost_control_database_are_rebuilt_by_rescan(self):
        d = self.daemon
        artifact = d.backup("shop")
        d.stop()
        shutil.rmtree(os.path.join(d.state, "index"))
        for name in list(os.listdir(d.state)):
            if name.startswith("control.db"):
                os.unlink(os.path.join(d.state, name))
        d.start()
        d.ok("repository", "rescan", "default", "--wait")
        self.assertEqual([a["id"] for a in d.json("artifact", "list")["artifacts"]], [artifact])
        d.ok("artifact", "drill", artifact, "--wait")

    def test_missing_repository_is_named_and_nothing_is_created_in_its_place(self):
        d = self.daemon
        d.stop()
        os.rename(self.repository, self.repository + ".away")
        d.start()
        result = d.ctl("backup", "shop", "--wait")
        self.assertNotEqual(result.code, 0)
        self.assertIn("repository default", result.err)
        self.assertFalse(os.path.exists(self.repository))
        self.assertFalse(d.json("status")["repositories"][0]["reachable"])
        d.stop()
        os.rename(self.repository + ".away", self.repository)
        d.start()
        d.backup("shop")

    def test_repository_of_another_key_is_refused(self):
        other = Daemon()
        self.addCleanup(other.close)
        self.daemon.backup("shop")
        self.daemon.stop()
        result = other.ctl("repository", "add", "foreign", f"file://{self.repository}")
        self.assertEqual(result.code, 77, result)
        self.daemon.start()

    def test_wrong_passphrase_is_refused_and_the_right_one_opens(self):
        d = self.daemon
        vault = d.path("vault")
        d.ok("repository", "add", "vault", f"file://{vault}", "--passphrase-stdin", stdin="correct horse\n")
        d.ok("backup", "shop", "--repository", "vault", "--wait")
        d.stop()
        other = Daemon()
        self.addCleanup(other.close)
        wrong = other.ctl("repository", "add", "vault", f"file://{vault}", "--passphrase-stdin", stdin="wrong horse\n")
        self.assertEqual(wrong.code, 77, wrong)
        self.assertNotIn("wrong horse", wrong.err + other.log())
        d.start()

    def test_full_disk_fails_cleanly_and_the_next_run_works(self):
        if os.geteuid() != 0:
            self.fail("needs root to mount a small tmpfs; tests/run says so")
        d = self.daemon
        small = d.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small])
        d.ok("repository", "add", "small", f"file://{small}/repository")
        d.ok("backup", "shop", "--repository", "small", "--wait")
        good = d.json("artifact", "list", "--limit", "1")["artifacts"][0]["id"]
        db = sqlite3.connect(self.shop)
        db.execute("CREATE TABLE noise (data BLOB)")
        db.executemany("INSERT INTO noise VALUES (?)", [(os.urandom(65000),) for _ in range(100)])
        db.commit()
        full = d.ctl("backup", "shop", "--repository", "small", "--wait")
        self.assertEqual(full.code, 1, full)
        self.assertIn("no_space", full.err)
        d.ok("artifact", "drill", good, "--wait")
        db.execute("DROP TABLE noise")
        db.execute("VACUUM")
        db.commit()
        db.close()
        d.ok("repository", "prune", "small", "--wait")
        d.ok("backup", "shop", "--repository", "small", "--wait")
        d.ok("repository", "check", "small", "--read-data", "--wait")

    def test_read_only_store_and_forbidden_source(self):
        if os.geteuid() != 0:
            self.fail("needs root to mount a read-only folder")
        d = self.daemon
        folder = d.path("ro")
        os.mkdir(folder)
        d.ok("repository", "add", "ro", f"file://{folder}/repository")
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        result = d.ctl("backup", "shop", "--repository", "ro", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("permission_denied", result.err)
        self.assertIn("hint:", result.err)

    def test_corrupt_source_is_refused_with_the_reason(self):
        d = self.daemon
        good = d.backup("shop")
        with open(self.shop, "r+b") as file:
            file.seek(4096 * 3)
            file.write(b"\xff" * 4096)
        result = d.ctl("backup", "shop", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("source_damaged", result.err)
        with open(self.shop, "wb") as file:
            file.write(b"this is not a database" * 1000)
        result = d.ctl("backup", "shop", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertEqual([a["id"] for a in d.json("artifact", "list")["artifacts"]], [good])

    def test_missing_source(self):
        d = self.daemon
        os.unlink(self.shop)
        result = d.ctl("backup", "shop", "--wait")
        self.assertNotEqual(result.code, 0)
        self.assertIn(self.shop, result.err)
        self.assertFalse(os.path.exists(self.shop))


if __name__ == "__main__":
    main()
