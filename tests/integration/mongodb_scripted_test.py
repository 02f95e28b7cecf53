#!/usr/bin/python3
"""MongoDB behaviour that no server at hand has, against the stand-in (tests/support/mongo_stand_in.py): snapshots, expired history,
lost primaries, logins. It records every command, so these tests also say what the engine asked for."""
import json
import os
import struct
import subprocess
import sys
import threading
import time
import unittest

import bson

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import mongo_wire as wire  # noqa: E402
from fixture import PATIENCE, Daemon, main  # noqa: E402
from mongo_stand_in import StandIn  # noqa: E402


def numbers(count, start=0):
    return [{"_id": i, "text": f"row {i} " + "x" * 60} for i in range(start, start + count)]


def eventually(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} does not happen")
        time.sleep(0.01)


class Scripted(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.server = None

    def start(self, **options):
        self.server = StandIn(**{"replica_set": "rs0", **options})
        self.addCleanup(self.server.close)
        return self.server

    def add(self, name="shop", server=None, options=(), stdin=None, more=(), **url):
        server = server or self.server
        arguments = [part for option in options for part in ("--option", option)]
        self.daemon.ok("database", "add", name, server.url(name, **url), *arguments, *more, stdin=stdin)
        self.daemon.ok("database", "allow-restore", name)

    def backup(self, name="shop", *arguments):
        return self.daemon.backup(name) if not arguments else self.daemon.json("backup", name, "--wait", *arguments)["run"]["artifact"]

    def artifact(self, identity):
        return self.daemon.json("artifact", "show", identity)["artifact"]

    def restore(self, identity, name="copy", *arguments, server=None, options=()):
        self.add(name, server=server, options=options)
        return self.daemon.ok("restore", identity, "--to", name, "--wait", *arguments)

    def same(self, *collections, source="shop", target="copy"):
        for name in collections:
            self.assertEqual(sorted(self.server.documents(source, name)), sorted(self.server.documents(target, name)), name)


class Snapshots(Scripted):
    def bank(self):
        self.server.insert("shop", "checking", [{"_id": i, "amount": 100} for i in range(3000)])
        self.server.insert("shop", "savings", [{"_id": i, "amount": 100} for i in range(3000)])

    def total(self, database):
        return sum(wire.field(row, "amount") for name in ("checking", "savings") for row in self.server.documents(database, name))

    def move(self, number):
        for name, change in (("checking", -number), ("savings", number)):
            self.server.replace("shop", name, {"_id": number % 3000, "amount": 100 + change})

    def test_all_readers_see_one_time_while_writers_write(self):
        server = self.start()
        self.bank()
        self.add(options=["range=64KiB"])
        # Between two replies to the readers, money moves; half of a transfer is always visible to somebody who reads "now".
        for number in range(40):
            server.on("getMore" if number % 2 else "find", lambda number=number: self.move(number + 1), after=number % 5)
        identity = self.backup()
        self.assertFalse(server.hooks, "the writers have not written")
        shown = self.artifact(identity)
        self.assertEqual(shown["consistency"]["kind"], "snapshot")
        reads = [one for one in server.commands("find") + server.commands("aggregate") if one["$db"] == "shop"]
        times = {str(one["readConcern"].get("atClusterTime")) for one in reads if "readConcern" in one}
        self.assertEqual(len(times - {"None"}), 1, "more than one time")
        self.assertTrue(all(one["readConcern"]["level"] == "snapshot" for one in reads))
        self.assertTrue(all("lsid" in one for one in reads))
        self.restore(identity)
        self.assertEqual(self.total("copy"), 600000)
        for one in server.log:
            self.assertNotEqual((one.get("writeConcern") or {}).get("w"), 0)

    def test_expired_snapshot_falls_back_to_the_oplog(self):
        for code in (239, 246):
            with self.subTest(code=code):
                self.daemon.close()
                self.daemon = Daemon()
                self.addCleanup(self.daemon.close)
                server = self.start()
                self.bank()
                self.add()
                failure = server.fail("getMore", code, collection="savings", after=1)
                server.on("getMore", lambda: self.move(7), after=1)
                identity = self.backup()
                self.assertEqual(failure["fired"], 1)
                shown = self.artifact(identity)
                self.assertEqual(shown["consistency"]["kind"], "oplog")
                self.restore(identity)
                self.assertEqual(self.total("copy"), 600000)
                self.same("checking", "savings")

    def test_deltas_transactions_and_commands_are_replayed(self):
        server = self.start(snapshots=False)
        server.insert("shop", "a", [{"_id": 1, "x": 1, "list": [1, 2, 3], "in": {"b": 1, "c": 2}, "old": 0}, {"_id": 2}, {"_id": 3}] + numbers(300, 10))
        server.insert("shop", "gone", numbers(3))
        self.add()

        def change():
            new = {"_id": 1, "x": 5, "list": [1, 9], "in": {"c": 2, "d": 4}, "z": "new", "a": 1}
            delta = {"d": {"old": False}, "u": {"x": 5}, "i": {"z": "new", "a": 1}, "slist": {"a": True, "l": 2, "u1": 9},
                     "sin": {"d": {"b": False}, "i": {"d": 4}}}
            server.replace("shop", "a", new, delta)
            server.delete("shop", "a", (0x10, struct.pack("<i", 2)))
            server.insert("shop", "new", numbers(5))
            # A transaction as the oplog has it: one entry, operations of two databases inside.
            inside = {"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 50000}}, {"op": "i", "ns": "other.a", "o": {"_id": 1}}]}
            with server.lock:
                server.tick("c", "admin.$cmd", bson.encode(inside))
                server.collection("shop", "a").documents[(0x10, struct.pack("<i", 50000))] = [(server.now(), bson.encode({"_id": 50000}))]
        server.on("getMore", change)
        identity = self.backup()
        self.assertFalse(server.hooks)
        self.assertEqual(self.artifact(identity)["consistency"]["kind"], "oplog")
        self.daemon.ok("artifact", "drill", identity, "--wait")
        self.restore(identity)
        self.same("a", "new", "gone")
        restored = next(row for row in server.documents("copy", "a") if wire.field(row, "_id") == 1)
        self.assertEqual(list(wire.decode(restored)), ["_id", "x", "list", "in", "z", "a"])

    def test_oplog_rollover_is_an_error(self):
        server = self.start(snapshots=False, oplog_entries=50)
        server.insert("shop", "a", numbers(300))
        self.add()
        server.on("getMore", lambda: server.insert("shop", "a", numbers(200, 1000)))
        result = self.daemon.ctl("backup", "shop", "--wait")
        self.assertEqual(result.code, 1)
        self.assertIn("rolled over", result.err)
        self.assertIn("(unavailable)", result.err)

    def test_capped_collections_are_read_with_the_oplog(self):
        server = self.start()
        server.create("shop", "log", {"capped": True, "size": 100000})
        server.insert("shop", "log", numbers(50))
        server.insert("shop", "a", numbers(50))
        self.add()
        identity = self.backup()
        self.assertEqual(self.artifact(identity)["consistency"]["kind"], "oplog")
        reads = [one for one in server.commands("find") if one["find"] == "log" and one["$db"] == "shop"]
        self.assertTrue(reads)
        self.assertTrue(all("readConcern" not in one for one in reads))
        self.restore(identity)
        self.same("log", "a")

    def test_changes_of_the_schema_are_told(self):
        server = self.start()
        server.insert("shop", "a", numbers(300))
        server.insert("shop", "b", numbers(30))
        self.add()
        server.on("getMore", lambda: server.databases["shop"].pop("b"))
        identity = self.backup()
        self.assertTrue([line for line in self.artifact(identity)["warnings"] if "collection b was dropped" in line])

    def test_lesser_servers_degrade_with_a_label(self):
        for missing, options, kind in (({"collStats"}, {}, "snapshot"), ({"aggregate"}, {}, "snapshot"), (set(), {"sessions": False}, "oplog"),
                                       (set(), {"replica_set": None}, "none"), (set(), {"wire_version": 9, "version": "4.4.0"}, "oplog")):
            with self.subTest(missing=missing, options=options):
                self.daemon.close()
                self.daemon = Daemon()
                self.addCleanup(self.daemon.close)
                server = self.start(**options)
                server.missing |= missing
                server.insert("shop", "a", numbers(3000))
                self.add(options=["range=64KiB"])
                identity = self.backup()
                shown = self.artifact(identity)
                self.assertEqual(shown["consistency"]["kind"], kind)
                self.assertEqual(shown["statistics"]["rows"], 3000)
                self.assertEqual(bool([line for line in shown["warnings"] if "not one point in time" in line]), kind == "none")


class Faults(Scripted):
    def failing(self, command, code, **script):
        server = self.start()
        server.insert("shop", "a", numbers(3000))
        self.add()
        failure = server.fail(command, code, **script)
        result = self.daemon.ctl("backup", "shop", "--wait")
        self.assertGreater(failure["fired"], 0)
        return result

    def test_retryable_errors_say_so(self):
        for code in (43, 189, 11602, 91, 10107):
            with self.subTest(code=code):
                result = self.failing("getMore", code)
                self.assertEqual(result.code, 1)
                self.assertIn("(unavailable)", result.err)
                self.daemon.close()
                self.daemon = Daemon()
                self.addCleanup(self.daemon.close)

    def test_lost_connection(self):
        result = self.failing("getMore", "close")
        self.assertEqual(result.code, 1)
        self.assertIn("(unavailable)", result.err)
        self.assertEqual(self.artifact(self.backup())["statistics"]["rows"], 3000)

    def test_step_down_during_a_restore(self):
        server = self.start()
        server.insert("shop", "a", numbers(3000))
        self.add()
        identity = self.backup()
        self.add("copy")
        server.on("insert", server.step_down)
        result = self.daemon.ctl("restore", identity, "--to", "copy", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("(unavailable)", result.err)
        server.primary = True
        self.daemon.ok("restore", identity, "--to", "copy", "--mode", "replace", "--yes", "--wait")
        self.same("a")

    def test_cancel_ends_a_call_that_hangs(self):
        for command in ("getMore", "find", "hello"):
            with self.subTest(command=command):
                server = self.start()
                server.insert("shop", "a", numbers(3000))
                name = "hung" + command
                self.daemon.ok("database", "add", name, server.url("shop"))
                failure = server.fail(command, "hang") if command != "hello" else server.fail("isMaster", "hang", times=9)
                run = self.daemon.json("backup", name)
                run = run.get("run", run)["id"]
                eventually(lambda: failure["fired"], "the hang")
                begin = time.monotonic()
                self.daemon.ok("run", "cancel", run)
                result = self.daemon.ctl("run", "wait", run)
                self.assertEqual(result.code, 130, result)
                self.assertLess(time.monotonic() - begin, 5)

    def test_write_errors_are_reported(self):
        server = self.start()
        server.insert("shop", "a", numbers(300))
        self.add()
        identity = self.backup()
        self.add("copy")
        refuse = server.check_validator

        def some(database, name, document, shown):
            if database == "copy" and wire.field(document, "_id") % 100 == 7:
                from mongo_stand_in import Failure
                raise Failure(121, "Document failed validation")
            refuse(database, name, document, shown)
        server.check_validator = some
        result = self.daemon.ctl("restore", identity, "--to", "copy", "--wait")
        self.assertEqual(result.code, 1, result)
        self.assertIn("refused 3 documents", result.err)
        self.assertEqual(len(server.documents("copy", "a")), 297)

    def test_empty_timestamps_on_servers_with_and_without_the_option(self):
        for version, old in (("8.0.0", False), ("6.0.0", True)):
            server = self.start(version=version)
            server.insert("shop", "a", [wire.build([(0x10, b"_id", struct.pack("<i", i)), (0x11, b"at", bytes(8)), (0x11, b"x.y", bytes(8))]) for i in range(3)])
            if old:
                server.fail("insert", 40415, "BSON field 'bypassEmptyTsReplacement' is an unknown field.", times=0)
                plain = server.do_insert

                def insert(database, command, shown, state):
                    if "bypassEmptyTsReplacement" in shown:
                        from mongo_stand_in import Failure
                        raise Failure(40415, "BSON field 'bypassEmptyTsReplacement' is an unknown field.")
                    return plain(database, command, shown, state)
                server.do_insert = insert
            name = "shop"
            record = "stamps" + version[0]
            self.daemon.ok("database", "add", record, server.url(name))
            identity = self.daemon.backup(record)
            self.daemon.ok("database", "add", record + "copy", server.url("copy"))
            self.daemon.ok("database", "allow-restore", record + "copy")
            self.daemon.ok("restore", identity, "--to", record + "copy", "--wait")
            self.same("a")


class Logins(Scripted):
    def test_password_is_right_wrong_or_missing_and_never_shown(self):
        server = self.start(user="keeper", password="s3cret & käse")
        server.insert("shop", "a", numbers(10))
        self.add(stdin="s3cret & käse", more=["--password-stdin"], authSource="admin")
        identity = self.backup()
        self.daemon.ok("artifact", "drill", identity, "--wait")
        self.daemon.ok("database", "add", "wrong", server.url("shop", authSource="admin"), "--password-stdin", stdin="other")
        for name in ("wrong",):
            result = self.daemon.ctl("backup", name, "--wait")
            self.assertIn("(permission_denied)", result.err)
            self.assertIn("uthentication", result.err)
        self.assertNotIn("s3cret", self.daemon.log() + json.dumps(server.log, default=str))
        refused = self.daemon.ctl("database", "add", "bad", f"mongodb://keeper:pw@127.0.0.1:{server.port}/shop")
        self.assertEqual(refused.code, 64)

    def test_tls_with_and_without_trust(self):
        folder = self.daemon.folder
        pem, key = os.path.join(folder, "server.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        both = os.path.join(folder, "both.pem")
        with open(both, "w", encoding="ascii") as out:
            for path in (pem, key):
                with open(path, encoding="ascii") as part:
                    out.write(part.read())
        server = self.start(tls=both)
        server.insert("shop", "a", numbers(10))
        self.add(tls="true", tlsCAFile=pem)
        self.backup()
        self.daemon.ok("database", "add", "untrusted", server.url("shop", tls="true"))
        result = self.daemon.ctl("backup", "untrusted", "--wait")
        self.assertEqual(result.code, 1)
        self.assertIn("(unavailable)", result.err)

    def test_users_and_roles(self):
        server = self.start()
        server.insert("shop", "a", numbers(10))
        user = {"_id": "shop.ann", "user": "ann", "db": "shop", "credentials": {"SCRAM-SHA-256": {"salt": "x"}}, "roles": []}
        server.users = [bson.encode(user), bson.encode({"_id": "other.bob", "user": "bob", "db": "other"})]
        server.roles = [bson.encode({"_id": "shop.clerk", "role": "clerk", "db": "shop", "privileges": [], "roles": []})]
        self.add(options=["restore_users=yes"])
        identity = self.backup()
        copy = StandIn(replica_set="rs0")
        self.addCleanup(copy.close)
        self.daemon.ok("database", "add", "moved", copy.url("shop"), "--option", "restore_users=yes")
        self.daemon.ok("database", "allow-restore", "moved")
        self.daemon.ok("restore", identity, "--to", "moved", "--wait")
        self.assertEqual([wire.field(one, "_id") for one in copy.users + copy.roles], ["shop.ann", "shop.clerk"])
        self.assertNotIn("tempusers", copy.databases["admin"])
        # Without leave to read them the backup goes on and says so.
        server.fail("find", 13, "not authorized on admin", collection="system.users")
        shown = self.artifact(self.backup())
        self.assertTrue([line for line in shown["warnings"] if "users and roles are not in this backup" in line])


class Exchange(Scripted):
    def filled(self):
        server = self.start()
        server.insert("shop", "a", [{"_id": 1, "n": bson.int64.Int64(5)}, {"_id": "two", "n": 1.5, "in": {"x": [None, True]}}])
        server.insert("shop", "empty", [])
        server.collection("shop", "empty")
        server.insert("shop", "many", numbers(2000))
        server.create("shop", "seen", {"viewOn": "a", "pipeline": []}, "view")
        server.collection("shop", "many").indexes.append(bson.encode({"v": 2, "key": {"text": -1}, "name": "by_text", "sparse": True}))
        self.add()
        return self.backup()

    def export(self, identity, how, name):
        path = self.daemon.path(name)
        self.daemon.ok("artifact", "export", identity, "--format", how, "--to", path, "--wait")
        return path

    def test_json_and_csv(self):
        identity = self.filled()
        folder = self.export(identity, "json", "json")
        with open(os.path.join(folder, "data/a.json"), encoding="utf-8") as file:
            rows = json.load(file)
        self.assertEqual(rows, [{"_id": {"$numberInt": "1"}, "n": {"$numberLong": "5"}},
                                {"_id": "two", "n": {"$numberDouble": "1.5"}, "in": {"x": [None, True]}}])
        with open(os.path.join(folder, "schema.js"), encoding="utf-8") as file:
            self.assertIn("createIndexes", file.read())
        folder = self.export(identity, "csv", "csv")
        with open(os.path.join(folder, "data/a.csv"), encoding="utf-8", newline="") as file:
            self.assertTrue(file.read().startswith('_id,document\r\n"{ ""$numberInt"" : ""1"" }","{ ""_id""'))
        self.assertEqual(self.daemon.ctl("artifact", "export", identity, "--format", "sql", "--to", self.daemon.path("x.sql"), "--wait").code, 1)

    def test_mongodump_archive_out_and_in(self):
        identity = self.filled()
        path = self.export(identity, "native", "dump.archive")
        database, metadata, rows = read_archive(path)
        self.assertEqual(database, "shop")
        self.assertEqual(sorted(metadata), ["a", "empty", "many", "seen"])
        self.assertEqual(metadata["many"]["indexes"][1]["name"], "by_text")
        self.assertEqual(rows["many"], self.server.documents("shop", "many"))
        self.daemon.ok("artifact", "import", path, "--wait")
        imported = self.daemon.json("artifact", "list")["artifacts"]
        imported = next(one["id"] for one in imported if one["id"] != identity)
        self.restore(imported)
        self.same("a", "many", "empty")
        self.assertEqual(self.server.databases["copy"]["seen"].kind, "view")
        self.assertEqual(len(self.server.databases["copy"]["many"].indexes), 2)
        with open(path, "r+b") as file:
            file.seek(-2000, os.SEEK_END)
            file.write(b"!")
        damaged = self.daemon.ctl("artifact", "import", path, "--wait")
        self.assertEqual(damaged.code, 7, damaged)
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        self.assertEqual(self.daemon.ctl("artifact", "import", path, "--wait").code, 1)

    def test_interleaved_archive(self):
        """As mongodump writes it: blocks of several collections in turn."""
        self.start()
        rows = {"a": [bson.encode(one) for one in numbers(50)], "b": [bson.encode(one) for one in numbers(70)]}
        out = struct.pack("<I", 0x8199E26D) + bson.encode({"concurrent_collections": 4, "version": "0.1", "server_version": "7.0", "tool_version": "100.9"})
        for name in rows:
            out += bson.encode({"db": "shop", "collection": name, "metadata": json.dumps({"options": {}, "indexes": []}), "size": 1, "type": "collection"})
        out += b"\xff" * 4
        for start in range(0, 70, 20):
            for name, documents in rows.items():
                if documents[start:start + 20]:
                    out += bson.encode({"db": "shop", "collection": name, "EOF": False, "CRC": bson.int64.Int64(0)})
                    out += b"".join(documents[start:start + 20]) + b"\xff" * 4
        for name, documents in rows.items():
            out += bson.encode({"db": "shop", "collection": name, "EOF": True, "CRC": bson.int64.Int64(crc64(b"".join(documents)))}) + b"\xff" * 4
        path = self.daemon.path("tool.archive")
        with open(path, "wb") as file:
            file.write(out)
        self.daemon.ok("artifact", "import", path, "--wait")
        self.restore("latest")
        for name, documents in rows.items():
            self.assertEqual(sorted(self.server.documents("copy", name)), sorted(documents))


def crc64(data, table=[]):
    """Go's hash/crc64 with the ECMA table."""
    if not table:
        for value in range(256):
            for _ in range(8):
                value = value >> 1 ^ (0xC96C5795D7870F42 if value & 1 else 0)
            table.append(value)
    state = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 255] ^ state >> 8
    state ^= 0xFFFFFFFFFFFFFFFF
    return state - (1 << 64) if state >> 63 else state


def read_archive(path):
    """A reader of its own, from the description in mongo-tools: (database, {collection: metadata}, {collection: documents})."""
    with open(path, "rb") as file:
        data = file.read()
    assert struct.unpack_from("<I", data)[0] == 0x8199E26D
    position = 4

    def block():
        nonlocal position
        found = []
        while (size := struct.unpack_from("<I", data, position)[0]) != 0xFFFFFFFF:
            found.append(data[position:position + size])
            position += size
        position += 4
        return found
    prelude = block()
    metadata = {wire.field(one, "collection"): json.loads(wire.field(one, "metadata")) for one in prelude[1:]}
    rows, ended = {}, set()
    while position < len(data):
        header, *documents = block()
        name = wire.field(header, "collection")
        assert name not in ended
        rows.setdefault(name, []).extend(documents)
        if wire.field(header, "EOF"):
            ended.add(name)
            assert wire.field(header, "CRC") == crc64(b"".join(rows[name])), name
    assert ended == set(rows)
    return wire.field(prelude[1], "db"), metadata, rows


if __name__ == "__main__":
    main()
