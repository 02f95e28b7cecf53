"""A scriptable stand-in for mongod, for behaviour that no server at hand has.

It keeps documents as bytes, every version of them with its time, and does what MongoDB's documents say; each part names its
document. It runs inside the test's process: `log` holds every command as it came, fail() and on() script what happens.

    server = StandIn(replica_set="rs0")
    server.insert("shop", "orders", [{"_id": 1}])
    server.fail("getMore", code=239, after=2)
"""
import base64
import collections
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading

import bson

import mongo_wire as wire

BATCH_BYTES = 16 << 20  # one reply's documents, manual: "Cursor Batches"


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def order(raw):
    """Sort key of a one-element document's value. Manual: "Comparison/Sort Order"."""
    kind, _, value = next(wire.elements(raw))
    number = {0x10: "<i", 0x12: "<q", 0x01: "<d"}
    if kind in number:
        decoded = struct.unpack(number[kind], value)[0]
        return (2, float("-inf") if decoded != decoded else decoded)
    classes = {0xFF: 0, 0x0A: 1, 0x02: 3, 0x0E: 3, 0x03: 4, 0x04: 5, 0x05: 6, 0x07: 7, 0x08: 8, 0x09: 9, 0x11: 10, 0x0B: 11, 0x7F: 12}
    if kind == 0x13:
        return (2, float(wire.decode(raw)[next(iter(wire.decode(raw)))].to_decimal()))
    if kind == 0x05:
        return (6, (len(value), value[4:]))
    if kind in (0x09, 0x11):
        return (classes[kind], struct.unpack("<q" if kind == 0x09 else "<Q", value)[0])
    return (classes[kind], value[4:] if kind in (0x02, 0x0E) else value)


class Collection:
    def __init__(self, name, options=b"\x05\0\0\0\0", kind="collection"):
        self.name, self.options, self.kind = name, options, kind
        self.uuid = os.urandom(16)
        self.indexes = [bson.encode({"v": 2, "key": {"_id": 1}, "name": "_id_"})]
        self.documents = collections.OrderedDict()  # _id element -> [(time, document or None)]

    def at(self, time):
        """Documents in natural order, as they were at `time` (None: now)."""
        for versions in list(self.documents.values()):
            document = None
            for when, what in versions:
                if time is None or when <= time:
                    document = what
            if document is not None:
                yield document


class StandIn:
    def __init__(self, replica_set=None, sessions=True, wire_version=21, version="7.0.12", snapshots=True, user=None, password=None,
                 tls=None, oplog_entries=100000, capped_snapshots=False):
        self.replica_set, self.sessions, self.wire_version, self.version = replica_set, sessions, wire_version, version
        self.snapshots, self.user, self.password = snapshots, user, password
        self.missing = set()  # commands that this server does not know
        self.databases = collections.defaultdict(collections.OrderedDict)
        self.users, self.roles = [], []
        self.oplog_entries, self.oplog = oplog_entries, []
        self.seconds, self.increment = 1700000000, 0
        self.oldest_snapshot = None
        self.capped_snapshots = capped_snapshots
        self.lock = threading.RLock()
        self.log, self.cursors, self.next_cursor = [], {}, 1000
        self.failures, self.hooks = [], []
        self.hooks_lock = threading.Lock()
        self.primary = True
        self.connections = set()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(tls)
        self.tick("n", "", bson.encode({"msg": "initiating set"}))
        threading.Thread(target=self.accept, daemon=True).start()

    # --- scripting ---------------------------------------------------------------------------------------------------------

    def fail(self, command, code, text="scripted failure", after=0, times=1, collection=None, labels=()):
        """From its `after`-th next occurrence on, `times` times. code "close" drops the connection, "hang" never answers."""
        self.failures.append({"command": command, "code": code, "text": text, "after": after, "times": times, "collection": collection,
                              "labels": list(labels), "fired": 0})
        return self.failures[-1]

    def on(self, command, action, after=0):
        """Calls action() once, before that command is answered."""
        self.hooks.append({"command": command, "action": action, "after": after})

    def commands(self, name):
        return [entry for entry in self.log if next(iter(entry)) == name]

    def close(self):
        self.socket.close()
        self.drop_connections()

    def drop_connections(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def step_down(self):
        """Manual: replSetStepDown. Writes then fail with NotWritablePrimary; cursors live on."""
        self.primary = False

    def url(self, database, **options):
        login = f"{self.user}@" if self.user else ""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        host = "localhost" if self.context else "127.0.0.1"
        return f"mongodb://{login}{host}:{self.port}/{database}" + ("?" + query if query else "")

    # --- data --------------------------------------------------------------------------------------------------------------

    def tick(self, op, namespace, o, o2=None):
        """One oplog entry and its time. Source: repl/oplog_entry.idl; the collection is capped: the oldest entries go."""
        with self.lock:
            self.increment += 1
            time = (self.seconds, self.increment)
            parts = [(0x02, b"op", struct.pack("<i", 2) + op.encode() + b"\0"),
                     (0x02, b"ns", struct.pack("<i", len(namespace.encode()) + 1) + namespace.encode() + b"\0"), (0x03, b"o", o)]
            if o2:
                parts.append((0x03, b"o2", o2))
            parts += [(0x11, b"ts", struct.pack("<II", time[1], time[0])), (0x12, b"t", struct.pack("<q", 1)), (0x10, b"v", struct.pack("<i", 2))]
            self.oplog.append((time, wire.build(parts)))
            del self.oplog[:-self.oplog_entries]
            return time

    def collection(self, database, name):
        with self.lock:
            if name not in self.databases[database]:
                self.databases[database][name] = Collection(name)
            return self.databases[database][name]

    def create(self, database, name, options=None, kind="collection"):
        with self.lock:
            self.databases[database][name] = Collection(name, wire.encode(options or {}), kind)

    def insert(self, database, name, documents):
        with self.lock:
            target = self.collection(database, name)
            for document in map(wire.encode, documents):
                key = wire.element(document, b"_id")
                if key is None:
                    key = (0x07, bson.ObjectId().binary)
                    document = wire.build([(key[0], b"_id", key[1]), *wire.elements(document)])
                versions = target.documents.get(key)
                if versions and versions[-1][1] is not None:
                    raise Failure(11000, f"E11000 duplicate key error collection: {database}.{name} index: _id_ dup key")
                target.documents.pop(key, None)
                target.documents[key] = (versions or []) + [(self.tick("i", f"{database}.{name}", document), document)]

    def replace(self, database, name, document, delta=None):
        """A new version; `delta` is what the oplog says of it, otherwise the whole document. Source: document_diff_serialization.h."""
        with self.lock:
            document = wire.encode(document)
            key = wire.element(document, b"_id")
            o = bson.encode({"$v": 2, "diff": delta}) if delta is not None else document
            time = self.tick("u", f"{database}.{name}", o, wire.build([(key[0], b"_id", key[1])]))
            self.collection(database, name).documents[key].append((time, document))

    def delete(self, database, name, key):
        with self.lock:
            element = wire.build([(key[0], b"_id", key[1])])
            versions = self.collection(database, name).documents.get(key)
            if not versions or versions[-1][1] is None:
                return 0
            versions.append((self.tick("d", f"{database}.{name}", element), None))
            return 1

    def documents(self, database, name):
        with self.lock:
            return list(self.collection(database, name).at(None))

    def now(self):
        return (self.seconds, self.increment)

    # --- connections -------------------------------------------------------------------------------------------------------

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        self.connections.add(connection)
        state = {"user": None}
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.connections.add(connection)
            while True:
                request, _, code, body = wire.read_message(connection)
                if code == wire.OP_QUERY:  # only hello comes this way
                    end = body.index(b"\0", 4)
                    reply = self.answer(body[end + 9:], state)
                    connection.sendall(wire.message(0, request, wire.OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + reply))
                else:
                    reply = self.answer(wire.parse_msg(body), state)
                    connection.sendall(wire.message(0, request, wire.OP_MSG, b"\0\0\0\0\0" + reply))
        except (OSError, ConnectionError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def scripted(self, name, command):
        for hook in [one for one in self.hooks if one["command"] == name]:
            with self.hooks_lock:  # readers come on several connections, and a hook is for one of them
                if hook["after"] > 0:
                    hook["after"] -= 1
                    continue
                if hook not in self.hooks:
                    continue
                self.hooks.remove(hook)
            hook["action"]()
        for failure in self.failures:
            if failure["command"] != name or failure["fired"] >= failure["times"]:
                continue
            if failure["collection"] and failure["collection"] not in (wire.field(command, name), wire.field(command, "collection")):
                continue
            if failure["after"] > 0:
                failure["after"] -= 1
                continue
            failure["fired"] += 1
            if failure["code"] == "close":
                raise ConnectionError("scripted")
            if failure["code"] == "hang":
                threading.Event().wait(600)
            raise Failure(failure["code"], failure["text"])

    def answer(self, command, state):
        kind, name, _ = next(wire.elements(command))
        name = name.decode()
        shown = {key.decode(): None for _, key, _ in wire.elements(command)}
        for key in shown:
            if key not in ("documents", "updates", "deletes", "pipeline", "filter"):
                shown[key] = wire.field(command, key)
        with self.lock:
            self.log.append(shown)
        try:
            self.scripted(name, command)
            handler = getattr(self, "do_" + name.lower().replace("_", ""), None)
            if handler is None or name in self.missing:
                raise Failure(59, f"no such command: '{name}'")
            if self.user and not state["user"] and name.lower() not in ("hello", "ismaster", "saslstart", "saslcontinue", "ping"):
                raise Failure(13, f"command {name} requires authentication")
            database = shown.get("$db", "admin")
            if name in ("insert", "update", "delete", "create", "drop", "createIndexes", "collMod") and not self.primary:
                raise Failure(10107, "not primary")
            with self.lock:
                reply = handler(database, command, shown, state)
            reply = reply if isinstance(reply, bytes) else bson.encode(reply)
            return wire.with_parts(reply, (0x01, b"ok", struct.pack("<d", 1)), *self.times())
        except Failure as failure:
            reply = {"ok": 0.0, "errmsg": str(failure), "code": failure.code, "codeName": "Scripted"}
            return wire.with_parts(bson.encode(reply), *self.times())
        except (KeyError, TypeError, ValueError, AttributeError, NameError, StopIteration, struct.error) as bug:  # of the stand-in
            return bson.encode({"ok": 0.0, "errmsg": f"the stand-in failed: {bug!r}", "code": 1})

    def times(self):
        """Source: specifications/sessions/causal-consistency: members of replica sets tell their time."""
        if not self.replica_set:
            return []
        return [(0x11, b"operationTime", struct.pack("<II", self.increment, self.seconds))]

    # --- commands: what the manual's command reference says of each ------------------------------------------------------------

    def do_hello(self, database, command, shown, state):
        reply = {"helloOk": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
                 "minWireVersion": 0, "maxWireVersion": self.wire_version, "readOnly": False,
                 "isWritablePrimary": self.primary, "ismaster": self.primary}
        if self.sessions:
            reply["logicalSessionTimeoutMinutes"] = 30
        if self.replica_set:
            host = f"{'localhost' if self.context else '127.0.0.1'}:{self.port}"
            reply.update({"setName": self.replica_set, "setVersion": 1, "hosts": [host], "me": host, "secondary": not self.primary})
            if self.primary:
                reply["primary"] = host
        if self.user and shown.get("saslSupportedMechs"):
            reply["saslSupportedMechs"] = ["SCRAM-SHA-256"]
        return reply

    do_ismaster = do_hello

    def do_ping(self, *_):
        return {}

    def do_buildinfo(self, *_):
        return {"version": self.version, "maxBsonObjectSize": 16777216}

    def do_endsessions(self, *_):
        return {}

    def do_saslstart(self, database, command, shown, state):
        """Source: RFC 5802, RFC 7677; specifications/auth: SCRAM-SHA-256, the reply's iteration count is at least 4096."""
        first = bytes(shown["payload"]).decode()
        bare = first.split(",", 2)[2]
        fields = dict(part.split("=", 1) for part in bare.split(","))
        if fields["n"] != self.user:
            raise Failure(18, "Authentication failed.")
        state["salt"], state["nonce"] = os.urandom(28), fields["r"] + base64.b64encode(os.urandom(18)).decode()
        reply = f"r={state['nonce']},s={base64.b64encode(state['salt']).decode()},i=15000"
        state["messages"] = bare + "," + reply
        return {"conversationId": 1, "done": False, "payload": reply.encode()}

    def do_saslcontinue(self, database, command, shown, state):
        last = bytes(shown["payload"]).decode()
        if not last:
            return {"conversationId": 1, "done": True, "payload": b""}
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), state["salt"], 15000)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signed = (state["messages"] + "," + last.rsplit(",p=", 1)[0]).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = base64.b64decode(last.rsplit(",p=", 1)[1])
        if bytes(a ^ b for a, b in zip(proof, signature)) != client_key:
            raise Failure(18, "Authentication failed.")
        state["user"] = self.user
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return {"conversationId": 1, "done": True, "payload": b"v=" + base64.b64encode(server)}

    def do_listdatabases(self, *_):
        return {"databases": [{"name": name} for name, content in self.databases.items() if content]}

    def do_listcollections(self, database, command, shown, state):
        rows = []
        for one in self.databases[database].values():
            info = {"readOnly": one.kind == "view"}
            if one.kind != "view":
                info["uuid"] = bson.binary.Binary(one.uuid, 4)
            rows.append(wire.with_parts(bson.encode({"name": one.name, "type": one.kind}), (0x03, b"options", one.options),
                                        (0x03, b"info", bson.encode(info))))
        return self.cursor(database, "$cmd.listCollections", rows, shown)

    def do_listindexes(self, database, command, shown, state):
        one = self.databases[database].get(shown["listIndexes"])
        if one is None:
            raise Failure(26, "ns does not exist")
        return self.cursor(database, one.name, one.indexes, shown)

    def do_create(self, database, command, shown, state):
        name = shown["create"]
        if name in self.databases[database]:
            raise Failure(48, f"Collection {database}.{name} already exists.")
        options = wire.build([part for part in wire.elements(command)
                              if part[1] not in (b"create", b"$db", b"lsid", b"writeConcern", b"$clusterTime", b"$readPreference", b"txnNumber")])
        kind = "view" if wire.element(options, b"viewOn") else "timeseries" if wire.element(options, b"timeseries") else "collection"
        self.databases[database][name] = Collection(name, options, kind)
        if kind == "timeseries":
            # Manual: "Time Series Collections", "Behavior": a view over a collection of buckets.
            self.databases[database]["system.buckets." + name] = Collection("system.buckets." + name)
        if wire.element(options, b"clusteredIndex"):
            self.databases[database][name].indexes = [bson.encode({"v": 2, "key": {"_id": 1}, "name": "_id_", "unique": True, "clustered": True})]
        return {}

    def do_drop(self, database, command, shown, state):
        if self.databases[database].pop(shown["drop"], None) is None:
            raise Failure(26, "ns not found")
        self.databases[database].pop("system.buckets." + shown["drop"], None)
        self.tick("c", f"{database}.$cmd", bson.encode({"drop": shown["drop"]}))
        return {}

    def do_dropdatabase(self, database, *_):
        self.databases.pop(database, None)
        return {}

    def do_collmod(self, database, command, shown, state):
        one = self.databases[database][shown["collMod"]]
        names = [b"validator", b"validationLevel", b"validationAction"]
        kept = [part for part in wire.elements(one.options) if part[1] not in names]
        one.options = wire.build(kept + [part for part in wire.elements(command) if part[1] in names])
        return {}

    def do_createindexes(self, database, command, shown, state):
        one = self.collection(database, shown["createIndexes"])
        names = {wire.field(index, "name") for index in one.indexes}
        for _, _, index in wire.elements(wire.embedded(command, "indexes")):
            if wire.field(index, "name") not in names:
                one.indexes.append(index)
        return {}

    def do_insert(self, database, command, shown, state):
        name, taken, errors = shown["insert"], 0, []
        for number, (_, _, document) in enumerate(wire.elements(wire.embedded(command, "documents"))):
            try:
                if not shown.get("bypassEmptyTsReplacement"):
                    document = self.fill_timestamps(document)
                self.check_validator(database, name, document, shown)
                self.insert(database, name, [document])
                taken += 1
            except Failure as failure:
                errors.append({"index": number, "code": failure.code, "errmsg": str(failure)})
        return {"n": taken, **({"writeErrors": errors} if errors else {})}

    def check_validator(self, database, name, document, shown):
        one = self.databases[database].get(name)
        if one and wire.element(one.options, b"validator") and not shown.get("bypassDocumentValidation"):
            for key in wire.field(one.options, "validator").get("$jsonSchema", {}).get("required", []):
                if wire.element(document, key.encode()) is None:
                    raise Failure(121, "Document failed validation")

    def fill_timestamps(self, document):
        """Manual: "BSON Types", "Timestamps": an empty one directly in a document is replaced at insertion."""
        now = struct.pack("<II", self.increment, self.seconds)
        return wire.build([(kind, name, now if kind == 0x11 and value == bytes(8) and name != b"_id" else value)
                           for kind, name, value in wire.elements(document)])

    def do_update(self, database, command, shown, state):
        changed = 0
        for _, _, update in wire.elements(wire.embedded(command, "updates")):
            key = wire.element(wire.embedded(update, "q"), b"_id")
            kind, change = wire.element(update, b"u")
            versions = self.collection(database, shown["update"]).documents.get(key)
            if kind == 0x04:  # a pipeline of $set with $literal
                fields = wire.embedded(next(wire.elements(change))[2], "$set")
                literals = {name: wire.elements(value) for _, name, value in wire.elements(fields)}
                literals = {name: next(value) for name, value in literals.items()}
                new = wire.build([(literals[name][0], name, literals[name][2]) if name in literals else (one, name, value)
                                  for one, name, value in wire.elements(versions[-1][1])])
                self.replace(database, shown["update"], new)
                changed += 1
            else:
                raise Failure(9, "this stand-in updates by pipeline only")
        return {"n": changed, "nModified": changed}

    def do_delete(self, database, command, shown, state):
        return {"n": sum(self.delete(database, shown["delete"], wire.element(wire.embedded(one, "q"), b"_id"))
                         for _, _, one in wire.elements(wire.embedded(command, "deletes")))}

    def do_collstats(self, database, command, shown, state):
        documents = self.documents(database, shown["collStats"])
        return {"size": sum(map(len, documents)), "count": len(documents), "ok": 1.0}

    def do_mergeauthzcollections(self, database, command, shown, state):
        """Source: user_management_commands.idl: what mongorestore calls."""
        self.users = self.documents("admin", "tempusers") if shown.get("tempUsersCollection") else self.users
        self.roles = self.documents("admin", "temproles") if shown.get("tempRolesCollection") else self.roles
        return {}

    def do_aggregate(self, database, command, shown, state):
        stages = [stage for _, _, stage in wire.elements(wire.embedded(command, "pipeline"))]
        sample = wire.embedded(stages[0], "$sample")
        if sample is None:
            raise Failure(40324, "Unrecognized pipeline stage name")
        ids = [wire.build([(part[0], b"_id", part[1])]) for part in
               (wire.element(document, b"_id") for document in self.visible(database, command, shown["aggregate"], shown)[0])]
        step = max(1, len(ids) // max(1, wire.field(sample, "size")))
        return self.cursor(database, shown["aggregate"], sorted(ids[::step], key=order), shown)

    def visible(self, database, command, name, shown):
        """The documents a read sees, and the time it saw them at. Source: specifications/sessions/snapshot-sessions; manual, "Read
        Concern snapshot": only members of replica sets, inside a session; error 239 when the history is gone, 246 for capped
        collections."""
        concern = shown.get("readConcern") or {}
        if concern.get("level") == "snapshot" and self.snapshots:
            if not self.replica_set or "lsid" not in shown:
                raise Failure(123, "node needs to be a replica set member to use read concern")
            time = concern.get("atClusterTime")
            time = (time.time, time.inc) if time else self.now()
            if self.oldest_snapshot and time < self.oldest_snapshot:
                raise Failure(239, "Read timestamp is older than the oldest available timestamp.")
            one = self.databases[database].get(name)
            if one and wire.field(one.options, "capped") and not self.capped_snapshots:
                raise Failure(246, "Reading from capped collections is not supported at a point in time")
            return (list(one.at(time)) if one else []), time
        if database == "local" and name == "oplog.rs":
            return ([entry for _, entry in self.oplog] if self.replica_set else []), None
        if database == "admin" and name in ("system.users", "system.roles"):
            return list(self.users if name == "system.users" else self.roles), None
        one = self.databases[database].get(name)
        return (list(one.at(None)) if one else []), None

    def do_find(self, database, command, shown, state):
        name = shown["find"]
        rows, time = self.visible(database, command, name, shown)
        condition = wire.embedded(command, "filter")
        if condition:
            rows = [row for row in rows if matches(row, condition)]
        hint, sort = shown.get("hint"), shown.get("sort") or {}

        def by_id(row):
            part = wire.element(row, b"_id")
            return order(wire.build([(part[0], b"", part[1])]))
        for bound, keep in (("min", lambda a, b: a >= b), ("max", lambda a, b: a < b)):
            edge = wire.embedded(command, bound)
            if edge:
                if hint != {"_id": 1}:
                    raise Failure(51173, "a hint must be given with min and max")
                limit = order(wire.build([(next(wire.elements(edge))[0], b"", next(wire.elements(edge))[2])]))
                rows = [row for row in rows if keep(by_id(row), limit)]
        if hint == {"_id": 1} or "_id" in sort:
            rows.sort(key=by_id)
        if -1 in sort.values():
            rows.reverse()
        rows = rows[shown.get("skip", 0):]
        if shown.get("limit"):
            rows = rows[:shown["limit"]]
        if shown.get("projection"):
            rows = [wire.build([part for part in wire.elements(row) if part[1].decode() in {"_id", *shown["projection"]}]) for row in rows]
        return self.cursor(database, name, rows, shown, time)

    def cursor(self, database, name, rows, shown, time=None):
        number = self.next_cursor = self.next_cursor + 1
        self.cursors[number] = (f"{database}.{name}", rows, shown.get("lsid"))
        return self.batch(number, shown.get("batchSize", 101), "firstBatch", time, shown.get("singleBatch"))

    def batch(self, number, size, label, time=None, single=False):
        namespace, rows, session = self.cursors[number]
        taken, total = [], 0
        while len(taken) < min(size, len(rows)) and (not taken or total + len(rows[len(taken)]) <= BATCH_BYTES):
            total += len(rows[len(taken)])
            taken.append(rows[len(taken)])
        rest = rows[len(taken):]
        if rest and not single:
            self.cursors[number] = (namespace, rest, session)
        else:
            del self.cursors[number]
            number = 0
        parts = [(0x04, label.encode(), wire.array(taken)), (0x12, b"id", struct.pack("<q", number)),
                 (0x02, b"ns", struct.pack("<i", len(namespace.encode()) + 1) + namespace.encode() + b"\0")]
        if time:
            parts.append((0x11, b"atClusterTime", struct.pack("<II", time[1], time[0])))
        return wire.build([(0x03, b"cursor", wire.build(parts))])

    def do_getmore(self, database, command, shown, state):
        """Manual, getMore: in the session of its cursor."""
        number = int(shown["getMore"])
        if number not in self.cursors:
            raise Failure(43, f"cursor id {number} not found")
        if self.cursors[number][2] != shown.get("lsid"):
            raise Failure(50738, "Cannot run getMore on a cursor of another session")
        return self.batch(number, shown.get("batchSize", 1 << 30), "nextBatch")

    def do_killcursors(self, database, command, shown, state):
        for number in shown["cursors"]:
            self.cursors.pop(int(number), None)
        return {"cursorsKilled": shown["cursors"]}


def matches(row, condition):
    """The few filters the engine sends: equality, $in, $gte, $lt, $and. Manual: comparisons stay within one type ("type bracketing")."""
    for kind, name, value in wire.elements(condition):
        if name == b"$and":
            if not all(matches(row, part) for _, _, part in wire.elements(value)):
                return False
            continue
        found = wire.element(row, name)
        operators = list(wire.elements(value)) if kind == 0x03 else []
        if not operators or not operators[0][1].startswith(b"$"):
            if found != (kind, value):
                return False
            continue
        for one, operator, operand in operators:
            if found is None:
                return False
            if operator == b"$in":
                if found not in [(item, content) for item, _, content in wire.elements(operand)]:
                    return False
                continue
            left, right = order(wire.build([(found[0], b"", found[1])])), order(wire.build([(one, b"", operand)]))
            if left[0] != right[0] or (operator == b"$gte" and left < right) or (operator == b"$lt" and left >= right) or \
                    (operator == b"$gt" and left <= right):
                return False
    return True
