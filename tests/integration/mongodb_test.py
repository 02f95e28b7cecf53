#!/usr/bin/python3
"""MongoDB through daemon, repository and back, on every server that is there; a matrix at the end shows which test ran where.

A test names what it needs (`@needs("types")`) and runs once per server that has it; a test that no server can run fails.
"""
import functools
import os
import random
import struct
import sys
import threading
import time
import unittest

import bson

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import mongo_servers  # noqa: E402
import mongo_wire as wire  # noqa: E402
from fixture import Daemon  # noqa: E402

SERVERS = []
MATRIX = {}


def needs(*abilities):
    """Runs the test once for each server that has all of them."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            able = [server for server in SERVERS if set(abilities) <= server.can]
            self.assertTrue(able, f"no server has {abilities}")
            for server in able:
                with self.subTest(server=server.name):
                    self.server = server
                    self.count += 1
                    row = MATRIX.setdefault(test.__name__.removeprefix("test_"), {})
                    row[server.name] = "FAILED"
                    test(self)
                    row[server.name] = "ok"
        return run
    return decorate


def numbers(count, start=0, size=40):
    return [{"_id": i, "group": i % 7, "text": f"row {i} " + "x" * (i % size)} for i in range(start, start + count)]


def part(kind, name, value):
    """A document {_id, name: value} with exactly these bytes."""
    return lambda number: wire.build([(0x10, b"_id", struct.pack("<i", number)), (kind, name, value)])


def text(value):
    return struct.pack("<i", len(value) + 1) + value + b"\0"


EMBEDDED = wire.build([(0x02, b"a", text(b"b")), (0x10, b"", struct.pack("<i", 1))])
TYPES = {
    "double": part(0x01, b"v", struct.pack("<d", 1.1)), "minus zero": part(0x01, b"v", struct.pack("<d", -0.0)),
    "infinity": part(0x01, b"v", struct.pack("<d", float("inf"))), "NaN": part(0x01, b"v", struct.pack("<d", float("nan"))),
    "subnormal": part(0x01, b"v", struct.pack("<Q", 1)), "text": part(0x02, b"v", text("Grüße ☃ \0 🎉".encode())),
    "empty text": part(0x02, b"v", text(b"")), "document": part(0x03, b"v", EMBEDDED), "empty document": part(0x03, b"v", b"\5\0\0\0\0"),
    "array": part(0x04, b"v", wire.build([(0x10, b"0", struct.pack("<i", 5)), (0x0A, b"1", b"")])), "empty array": part(0x04, b"v", b"\5\0\0\0\0"),
    "binary": part(0x05, b"v", struct.pack("<i", 3) + b"\0" + b"\0\xff\x10"), "uuid": part(0x05, b"v", struct.pack("<i", 16) + b"\4" + bytes(range(16))),
    "object id": part(0x07, b"v", bytes(range(12))), "true": part(0x08, b"v", b"\1"), "false": part(0x08, b"v", b"\0"),
    "date": part(0x09, b"v", struct.pack("<q", -62135596800000)), "null": part(0x0A, b"v", b""), "regex": part(0x0B, b"v", b"^a.*/\0imx\0"),
    "code": part(0x0D, b"v", text(b"function() { return 1; }")), "int32": part(0x10, b"v", struct.pack("<i", -2**31)),
    "timestamp": part(0x11, b"v", struct.pack("<II", 7, 1700000000)), "int64": part(0x12, b"v", struct.pack("<q", 2**63 - 1)),
    "decimal": part(0x13, b"v", bson.decimal128.Decimal128("1.000").bid), "decimal minus zero": part(0x13, b"v", bson.decimal128.Decimal128("-0E+3").bid),
    "min key": part(0xFF, b"v", b""), "max key": part(0x7F, b"v", b""),
}
# What no server at hand but the stand-in keeps: deprecated types, names twice, a NaN with a payload, text that is not UTF-8.
ODD_TYPES = {
    "undefined": part(0x06, b"v", b""), "symbol": part(0x0E, b"v", text(b"sym")), "pointer": part(0x0C, b"v", text(b"db.c") + bytes(range(12))),
    "code with scope": part(0x0F, b"v", struct.pack("<i", 10 + len(EMBEDDED)) + text(b"x") + EMBEDDED),
    "old binary": part(0x05, b"v", struct.pack("<i", 7) + b"\2" + struct.pack("<i", 3) + b"abc"),
    "user binary": part(0x05, b"v", struct.pack("<i", 2) + b"\x80" + b"\0\1"), "NaN payload": part(0x01, b"v", struct.pack("<Q", 0xFFF8000000001234)),
    "not UTF-8": part(0x02, b"v", text(b"\xff\xfe\x80")), "odd array": part(0x04, b"v", wire.build([(0x10, b"7", struct.pack("<i", 5))])),
    "twice": lambda number: wire.build([(0x10, b"_id", struct.pack("<i", number)), (0x10, b"a", struct.pack("<i", 1)), (0x02, b"a", text(b"x"))]),
    "empty timestamp": part(0x11, b"v", bytes(8)),
}
NAMES = [b"", b" ", b"a b", "Ünïcödé ☃".encode(), b"quo\"te", b"new\nline", b"tab\t", b"0", b"constructor", b"x" * 300]
SERVER_NAMES = NAMES + [b"dot.ted", b"a$b"]


class MongoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    count = 0

    def setUp(self):
        MongoTest.count += 100

    def fresh(self, purpose="source"):
        """A database name that nothing has used, and its record."""
        MongoTest.count += 1
        return f"{purpose}{MongoTest.count}"

    def add(self, name, *options, server=None, record=None):
        record = record or name
        arguments = [part for option in options for part in ("--option", option)]
        self.daemon.ok("database", "add", record, (server or self.server).url(name), *arguments)
        self.daemon.ok("database", "allow-restore", record)
        return record

    def fill(self, database, content, **options):
        """content: {collection: documents}; options of the insert command."""
        with self.server.client() as client:
            for collection, documents in content.items():
                client.insert(database, collection, documents, options=options)

    def content(self, database, *names):
        with self.server.client() as client:
            return {name: sorted(client.find(database, name)) for name in names}

    def artifact(self, identity):
        return self.daemon.json("artifact", "show", identity)["artifact"]

    def backup(self, database, *arguments):
        run = self.daemon.json("backup", database, "--wait", *arguments, timeout=600)
        return run.get("run", run)["artifact"]

    def restore(self, identity, target, *arguments, server=None, options=()):
        self.add(target, *options, server=server)
        self.daemon.ok("restore", identity, "--to", target, "--wait", *arguments, timeout=600)
        return target

    def round_trip(self, content, *options, **insert_options):
        """Fills, backs up, drills, restores into another database; returns the artifact and the restored database."""
        source, target = self.fresh(), self.fresh("target")
        self.fill(source, content, **insert_options)
        self.add(source, *options)
        identity = self.backup(source)
        self.daemon.ok("artifact", "drill", identity, "--wait", timeout=600)
        self.restore(identity, target)
        filled = {name: sorted(map(wire.encode, documents)) for name, documents in content.items()}
        self.assertEqual(self.content(source, *content), filled)
        self.assertEqual(self.content(target, *content), filled)
        return identity, source, target


class Everywhere(MongoTest):
    @needs()
    def test_backup_restore_and_drill(self):
        content = {"orders": numbers(3000), "customers": numbers(50), "one": [{"_id": "only"}]}
        identity, source, _ = self.round_trip(content)
        artifact = self.artifact(identity)
        self.assertEqual(artifact["statistics"]["rows"], 3051)
        self.assertEqual(artifact["proof"]["state"], "proved")
        with self.server.client() as client:
            names = [row["name"] for row in client.command("admin", {"listDatabases": 1, "nameOnly": True})["databases"]]
        self.assertFalse([name for name in names if name.startswith("dbbackup_drill")], "a drill left its database behind")
        again = self.backup(source)
        hashes = [{stream["name"]: stream["hash"] for stream in self.artifact(one)["streams"] if stream["name"].startswith("data/")} for one in (identity, again)]
        self.assertEqual(*hashes)

    @needs()
    def test_modes(self):
        source, target = self.fresh(), self.fresh("target")
        self.fill(source, {"a": numbers(20), "b": numbers(10)})
        self.add(source)
        identity = self.backup(source)
        self.fill(target, {"other": numbers(3)})
        self.add(target)
        refused = self.daemon.ctl("restore", identity, "--to", target, "--wait")
        self.assertEqual(refused.code, 6, refused)
        self.daemon.ok("restore", identity, "--to", target, "--mode", "append", "--wait")
        self.assertEqual(len(self.content(target, "a")["a"]), 20)
        self.assertEqual(len(self.content(target, "other")["other"]), 3)
        twice = self.daemon.ctl("restore", identity, "--to", target, "--mode", "append", "--wait")
        self.assertEqual(twice.code, 6, twice)
        self.assertIn("refused 30 documents", twice.err)
        self.daemon.ok("restore", identity, "--to", target, "--mode", "replace", "--yes", "--include", "a", "--wait")
        self.assertEqual(len(self.content(target, "other")["other"]), 3)
        self.daemon.ok("restore", identity, "--to", target, "--mode", "replace", "--yes", "--wait")
        self.assertEqual(self.content(target, "a", "b"), self.content(source, "a", "b"))
        self.assertEqual(self.content(target, "other")["other"], [])
        chosen = self.restore(identity, self.fresh("target"), "--include", "b")
        self.assertEqual(self.content(chosen, "a", "b"), {"a": [], "b": self.content(source, "b")["b"]})
        wrong = self.daemon.ctl("backup", source, "--include", "aa", "--wait")
        self.assertEqual(wrong.code, 1, wrong)

    @needs()
    def test_parallel_ranges(self):
        source = self.fresh()
        documents = numbers(6000, size=400)
        random.Random(5).shuffle(documents)
        self.fill(source, {"big": documents})
        self.add(source, "range=64KiB")
        self.add(source, "range=off", record=source + "-plain")
        cut, plain = self.artifact(self.backup(source)), self.artifact(self.backup(source + "-plain"))
        rows = [next(stream for stream in one["streams"] if stream["name"] == "data/big") for one in (cut, plain)]
        self.assertEqual(rows[0]["hash"], rows[1]["hash"])
        self.assertEqual(rows[0]["rows"], 6000)

    @needs("absent databases")
    def test_missing_database(self):
        self.add(self.fresh("nowhere"), record="nowhere" + str(self.count))
        result = self.daemon.ctl("backup", "nowhere" + str(self.count), "--wait")
        self.assertEqual(result.code, 1, result)

    @needs()
    def test_unreachable_server(self):
        port = mongo_servers.free_port()
        name = self.fresh("dead")
        self.daemon.ok("database", "add", name, f"mongodb://127.0.0.1:{port}/x?serverSelectionTimeoutMS=500")
        self.assertEqual(self.daemon.ctl("database", "test", name).code, 1)
        self.assertIn("(unavailable)", self.daemon.ctl("backup", name, "--wait").err)


class Types(MongoTest):
    @needs("types")
    def test_every_type_byte_for_byte(self):
        self.round_trip({"types": [make(number) for number, make in enumerate(TYPES.values())]})

    @needs("deprecated")
    def test_deprecated_types_and_names_twice(self):
        self.round_trip({"odd": [make(number) for number, make in enumerate(ODD_TYPES.values())]}, bypassEmptyTsReplacement=True)

    @needs("names")
    def test_field_and_collection_names(self):
        documents = [wire.build([(0x10, b"_id", struct.pack("<i", i)), (0x10, name, struct.pack("<i", i))]) for i, name in enumerate(SERVER_NAMES)]
        self.round_trip({"fields": documents, "two words": numbers(1), "Ünïcödé ☃": numbers(2), "quo\"te'": numbers(3), "dots.in.name": numbers(4)})

    @needs("types", "bounds")
    def test_mixed_ids_in_ranges(self):
        documents = [{"_id": i} for i in range(700)] + [{"_id": f"text {i}"} for i in range(700)] + [{"_id": {"a": i}} for i in range(700)]
        documents += [{"_id": bson.ObjectId()} for _ in range(700)] + [{"_id": None}, {"_id": True}, {"_id": float("nan")}]
        documents = [dict(one, pad="y" * 100) for one in documents]
        identity, _, _ = self.round_trip({"mixed": documents}, "range=64KiB")
        self.assertEqual(self.artifact(identity)["statistics"]["rows"], len(documents))


class Schema(MongoTest):
    @needs("indexes")
    def test_indexes_verbatim(self):
        source, target = self.fresh(), self.fresh("target")
        self.fill(source, {"a": numbers(10)})
        indexes = [{"key": {"group": 1}, "name": "plain"}, {"key": {"text": 1, "group": -1}, "name": "compound"},
                   {"key": {"u": 1}, "name": "sparse", "sparse": True}, {"key": {"at": 1}, "name": "ttl", "expireAfterSeconds": 3600},
                   {"key": {"group": -1}, "name": "part", "partialFilterExpression": {"group": {"$gt": 3}}}]
        with self.server.client() as client:
            client.command(source, {"createIndexes": "a", "indexes": indexes})
        self.add(source)
        self.restore(self.backup(source), target)
        with self.server.client() as client:
            shown = [sorted(wire.build([part for part in wire.elements(row) if part[1] != b"ns"]) for row in client.rows(name, {"listIndexes": "a"}))
                     for name in (source, target)]
        self.assertEqual(len(shown[0]), 6)
        self.assertEqual(*shown)

    @needs("capped")
    def test_capped_collections(self):
        source, target = self.fresh(), self.fresh("target")
        with self.server.client() as client:
            client.command(source, {"create": "log", "capped": True, "size": 1 << 20, "max": 1000})
            client.insert(source, "log", numbers(100))
            client.insert(source, "plain", numbers(10))
        self.add(source)
        self.restore(self.backup(source), target)
        self.assertEqual(self.content(source, "log", "plain"), self.content(target, "log", "plain"))
        with self.server.client() as client:
            options = next(row for row in map(wire.decode, client.rows(target, {"listCollections": 1})) if row["name"] == "log")["options"]
        self.assertTrue(options["capped"])
        self.assertEqual(options["size"], 1 << 20)

    @needs("options")
    def test_collection_options_views_and_time_series(self):
        source, target = self.fresh(), self.fresh("target")
        validator = {"$jsonSchema": {"required": ["name"]}}
        creations = [
            {"create": "checked", "validator": validator, "validationLevel": "moderate", "validationAction": "error"},
            {"create": "german", "collation": {"locale": "de", "strength": 2}},
            {"create": "clustered", "clusteredIndex": {"key": {"_id": 1}, "unique": True}},
            {"create": "images", "changeStreamPreAndPostImages": {"enabled": True}},
            {"create": "weather", "timeseries": {"timeField": "at", "metaField": "where", "granularity": "hours"}, "expireAfterSeconds": 86400},
            {"create": "big_ones", "viewOn": "checked", "pipeline": [{"$match": {"n": {"$gt": 5}}}, {"$project": {"n": 1}}]},
            {"create": "on_view", "viewOn": "big_ones", "pipeline": []}]
        with self.server.client() as client:
            for creation in creations:
                client.command(source, creation)
            # Not what the validator asks for: documents from before it.
            client.raw(source, wire.build([*wire.elements(bson.encode({"insert": "checked", "bypassDocumentValidation": True})),
                                           (0x04, b"documents", wire.array([bson.encode({"_id": i, "n": i}) for i in range(10)]))]))
            client.insert(source, "german", numbers(5))
            if "scripted" in self.server.can:
                client.insert(source, "system.buckets.weather", [{"_id": bson.ObjectId(), "control": {"version": 2}, "data": {"at": b"packed"}}])
        self.add(source)
        self.restore(self.backup(source), target)
        with self.server.client() as client:
            shown = [[{key: row.get(key) for key in ("name", "type", "options")} for row in map(wire.decode, client.rows(name, {"listCollections": 1}))
                      if not row["name"].startswith("system.")] for name in (source, target)]
        self.assertEqual(*[sorted(one, key=lambda row: row["name"]) for one in shown])
        self.assertEqual(len(shown[0]), 7)
        self.assertEqual(self.content(source, "checked", "system.buckets.weather"), self.content(target, "checked", "system.buckets.weather"))


class Consistency(MongoTest):
    def bank(self, source):
        self.fill(source, {"accounts": [{"_id": i, "balance": 100} for i in range(200)], "journal": numbers(2000, size=300)})

    @needs("standalone")
    def test_standalone_is_labelled(self):
        source = self.fresh()
        self.fill(source, {"a": numbers(10)})
        self.add(source)
        artifact = self.artifact(self.backup(source))
        self.assertEqual(artifact["consistency"]["kind"], "none")
        self.assertTrue([line for line in artifact["warnings"] if "not one point in time" in line], artifact["warnings"])

    @needs("oplog", "writers")
    def test_writers_and_oplog_replay(self):
        source, target = self.fresh(), self.fresh("target")
        self.bank(source)
        self.add(source, "range=64KiB")
        ready, stop = threading.Event(), threading.Event()

        def write():
            with self.server.client() as client:
                number = 0
                while not stop.is_set():
                    a, b = number % 200, (number * 7 + 3) % 200
                    client.insert(source, "accounts", [{"_id": 1000 + number, "from": a, "to": b}])
                    client.command(source, {"update": "accounts", "updates": [{"q": {"_id": 1000 + number}, "u": {"$set": {"done": True}}}]})
                    if number >= 20:
                        client.command(source, {"delete": "accounts", "deletes": [{"q": {"_id": 1000 + number - 20}, "limit": 1}]})
                    number += 1
                    if number == 30:
                        ready.set()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.assertTrue(ready.wait(60))
            identity = self.backup(source)
        finally:
            stop.set()
            writer.join()
        artifact = self.artifact(identity)
        self.assertEqual(artifact["consistency"]["kind"], "oplog")
        self.daemon.ok("artifact", "drill", identity, "--wait")
        self.restore(identity, target)
        moving = sorted(wire.decode(row)["_id"] for row in self.content(target, "accounts")["accounts"])[200:]
        # One writer, one after the other: at any instant the moving documents are 20 to 22 consecutive numbers.
        self.assertEqual(moving, list(range(moving[0], moving[-1] + 1)))
        self.assertIn(len(moving), (20, 21, 22))
        oplog = next(stream for stream in artifact["streams"] if stream["name"] == "oplog/entries")
        self.assertGreater(oplog["rows"], 0)


class Large(MongoTest):
    @needs("large")
    def test_documents_of_16_mb(self):
        full = (16 << 20) - len(wire.encode({"_id": 0, "v": b""}))
        self.round_trip({"huge": [{"_id": i, "v": bytes([i]) * full} for i in range(3)] + numbers(100, 10)})

    @needs("large")
    def test_many_collections(self):
        self.round_trip({f"c{i:04}": numbers(2) for i in range(int(os.environ.get("DBBACKUP_TEST_COLLECTIONS", "100")))})

    @needs("large")
    def test_bounded_memory(self):
        """DBBACKUP_TEST_LARGE_MIB chooses how much; the default keeps the suite short."""
        mib = int(os.environ.get("DBBACKUP_TEST_LARGE_MIB", "64"))
        source, target = self.fresh(), self.fresh("target")
        rng = random.Random(1)
        with self.server.client() as client:
            client.insert(source, "big", ({"_id": i, "v": rng.randbytes(64 << 10)} for i in range(mib * 16)))
        with Daemon() as daemon:
            daemon.ok("database", "add", source, self.server.url(source))
            run = daemon.json("backup", source, "--wait", timeout=1200)
            identity = run.get("run", run)["artifact"]
            daemon.ok("database", "add", target, self.server.url(target))
            daemon.ok("database", "allow-restore", target)
            daemon.ok("restore", identity, "--to", target, "--wait", timeout=1200)
            with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
                peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024
        print(f"peak memory of the daemon with {mib} MiB: {peak} MiB")
        self.assertLess(peak, 450)
        with self.server.client() as client:
            for name in (source, target):
                client.command(name, {"dropDatabase": 1})


def print_matrix():
    names = [server.name for server in SERVERS]
    width = max(len(name) for name in MATRIX) if MATRIX else 0
    print("\nwhich test ran where:")
    print(" " * width, *names, sep=" | ")
    for test, row in sorted(MATRIX.items()):
        print(test.ljust(width), *(row.get(name, "-").ljust(len(name)) for name in names), sep=" | ")


if __name__ == "__main__":
    SERVERS = mongo_servers.start_all()
    try:
        program = unittest.main(verbosity=2, exit=False)
    finally:
        print_matrix()
        for server in SERVERS:
            server.stop()
    sys.exit(0 if program.result.wasSuccessful() else 1)
