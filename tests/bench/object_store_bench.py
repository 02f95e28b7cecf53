#!/usr/bin/python3
"""Backup to a local S3 server against the same backup to the local disk, with and without added latency, and what the restore of
one table moves. Usage: object_store_bench.py [MEGABYTES]; the fixtures of tests/support start everything."""
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import object_stores as servers  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from fixture import Daemon  # noqa: E402


def make_database(path, megabytes):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE noise (id INTEGER PRIMARY KEY, data BLOB)")
    db.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, data BLOB)")
    db.executemany("INSERT INTO noise (data) VALUES (?)", ((os.urandom(8 << 10),) for _ in range(megabytes * 128)))
    db.executemany("INSERT INTO one (data) VALUES (?)", ((os.urandom(8 << 10),) for _ in range(megabytes * 128 // 20)))
    db.commit()
    db.close()


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with servers.SeaweedFS() as server, Daemon() as daemon, FaultProxy(server.port) as proxy:
        make_database(daemon.path("big.db"), megabytes)
        daemon.ok("database", "add", "big", f"sqlite://{daemon.path('big.db')}")
        with open(daemon.path("secret"), "w", encoding="ascii") as file:
            file.write(servers.SECRET_KEY)

        def add(name, endpoint):
            daemon.ok("repository", "add", name, f"{server.url}/{name}", "--option", f"endpoint={endpoint}", "--option",
                      f"access_key={servers.ACCESS_KEY}", "--option", f"secret_key=@{daemon.path('secret')}")
        add("direct", server.endpoint)
        add("proxied", proxy.endpoint)
        add("distant", proxy.endpoint)
        rates = {}
        for name, latency in (("default", 0), ("direct", 0), ("proxied", 0), ("distant", 0.05)):
            proxy.latency = latency
            started = time.monotonic()
            run = daemon.json("backup", "big", "--repository", name, "--wait")
            rates[name] = megabytes / (time.monotonic() - started)
            artifact = run.get("run", run)["artifact"]
            print(f"{name}: {rates[name]:.0f} MB/s, {rates[name] / rates['default']:.2f} of the local disk")
        proxy.latency = 0
        proxy.reset_counts()
        daemon.ok("database", "add", "part", f"sqlite://{daemon.path('part.db')}")
        daemon.ok("database", "allow-restore", "part")
        daemon.ok("restore", artifact, "--to", "part", "--include", "one", "--wait")
        stored = os.path.getsize(daemon.path("part.db"))
        print(f"one table: moved {proxy.answered_bytes} bytes for {stored} of database, {proxy.answered_bytes / stored:.2f}")


if __name__ == "__main__":
    main()
