"""The servers that the MongoDB tests run against, and what each of them can do.

A real mongod comes first: the one that DBBACKUP_TEST_MONGOD names, or that is on PATH, is started standalone and as a replica set of
one member. FerretDB and mongo-java-server are always there (fetch-mongo-servers), and the stand-in of our own.
"""
import os
import select
import shutil
import subprocess
import tempfile
import time

import mongo_wire as wire
from mongo_stand_in import StandIn

FOLDER = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 60


class Server:
    """One running server: `port`, and `can`, the set of abilities that tests ask for."""

    name = ""
    can = frozenset()

    def client(self):
        return wire.Client(self.port)

    def url(self, database, **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"mongodb://127.0.0.1:{self.port}/{database}" + ("?" + query if query else "")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, command, environment=None):
        self.folder = tempfile.mkdtemp(prefix="dbbackup-mongo-")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen([part.replace("FOLDER", self.folder) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment)

    def wait_ready(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with self.client() as client:
                    client.command("admin", {"ping": 1})
                return self
            except OSError:
                time.sleep(0.05)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            raise AssertionError(f"{self.name} does not start: {log.read()[-2000:]}")


def free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def cache():
    return subprocess.run([os.path.join(FOLDER, "fetch-mongo-servers")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class FerretDB(Server):
    name = "FerretDB 1.24"
    can = frozenset({"capped", "oplog", "large", "writers", "absent databases"})

    def __init__(self, folder):
        self.port = free_port()
        self.launch([os.path.join(folder, "ferretdb-1.24.0"), "--handler=sqlite", "--sqlite-url=file:FOLDER/", "--state-dir=FOLDER",
                     f"--listen-addr=127.0.0.1:{self.port}", "--telemetry=disable", "--debug-addr=-", "--repl-set-name=rs0", "--log-level=error"])

    def wait_ready(self):
        super().wait_ready()
        with self.client() as client:
            client.command("local", {"create": "oplog.rs", "capped": True, "size": 16 << 20})
        return self


class JavaServer(Server):
    name = "mongo-java-server 1.47"
    can = frozenset({"types", "names", "indexes", "bounds", "standalone"})

    def __init__(self, folder):
        self.folder = tempfile.mkdtemp(prefix="dbbackup-mongo-")
        jars = os.path.join(folder, "java-1.47.0", "*")
        self.process = subprocess.Popen(["java", "-XX:TieredStopAtLevel=1", "-Xmx2g", "-cp", jars, os.path.join(FOLDER, "JavaMongoServer.java")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(os.path.join(self.folder, "log"), "wb"), text=True)
        self.port = None

    def wait_ready(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "mongo-java-server does not start"
        self.port = int(self.process.stdout.readline())
        return self


class Mongod(Server):
    can = frozenset({"types", "names", "indexes", "bounds", "capped", "options", "large", "deprecated", "writers", "absent databases"})

    def __init__(self, program, replica_set):
        self.port = free_port()
        self.replica_set = replica_set
        self.name = "mongod, replica set" if replica_set else "mongod, standalone"
        self.can = Mongod.can | ({"snapshot"} if replica_set else {"standalone"})
        self.launch([program, "--dbpath=FOLDER", "--bind_ip=127.0.0.1", f"--port={self.port}"] + (["--replSet=rs0"] if replica_set else []))

    def wait_ready(self):
        super().wait_ready()
        if self.replica_set:
            with self.client() as client:
                client.command("admin", {"replSetInitiate": {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]}})
                deadline = time.monotonic() + PATIENCE
                while not client.command("admin", {"hello": 1}).get("isWritablePrimary") and time.monotonic() < deadline:
                    time.sleep(0.05)
        return self


class OwnStandIn(Server):
    name = "stand-in"
    can = frozenset({"types", "names", "indexes", "bounds", "options", "snapshot", "deprecated", "scripted", "capped",
                     "absent databases"})

    def __init__(self):
        self.server = StandIn(replica_set="rs0")
        self.port = self.server.port

    def wait_ready(self):
        return self

    def stop(self):
        self.server.close()


def start_all():
    folder = cache()
    servers = [FerretDB(folder), JavaServer(folder), OwnStandIn()]
    program = os.environ.get("DBBACKUP_TEST_MONGOD") or shutil.which("mongod")
    if program:
        servers = [Mongod(program, True), Mongod(program, False)] + servers
    return [server.wait_ready() for server in servers]
