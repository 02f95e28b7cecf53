#!/usr/bin/python3
"""MongoDB: first backup beside a driver loop that reads every document once, second backup after a change of 1 % in one place, restore.

Against the first server that is there: a mongod (DBBACKUP_TEST_MONGOD, PATH), otherwise FerretDB. mongodump and mongorestore take part when
they are on PATH. Medians of RUNS runs (default 3) over MIB mebibytes (default 256).
"""
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "../support"))
import mongo_servers  # noqa: E402
from fixture import BIN, Daemon  # noqa: E402

RUNS = int(os.environ.get("RUNS", "3"))
MIB = int(os.environ.get("MIB", "256"))


def start():
    program = os.environ.get("DBBACKUP_TEST_MONGOD") or shutil.which("mongod")
    server = mongo_servers.Mongod(program, True) if program else mongo_servers.FerretDB(mongo_servers.cache())
    return server.wait_ready()


def orders(rng, start, count):
    for number in range(start, start + count):
        yield {"_id": number, "customer": rng.randrange(200000), "total": rng.randrange(10000000) / 100, "token": f"{rng.getrandbits(64):016x}",
               "lines": [{"product": rng.randrange(5000), "quantity": rng.randrange(20), "label": "".join(rng.choices("abcdefgh ", k=40))} for _ in range(4)]}


def timed(work):
    begin = time.monotonic()
    result = work()
    return time.monotonic() - begin, result


def backup(daemon):
    took, run = timed(lambda: daemon.json("backup", "bench", "--wait", timeout=1200))
    artifact = daemon.json("artifact", "show", run.get("run", run)["artifact"])["artifact"]
    return took, artifact


def row(name, ours, peer, peer_name, wanted=None):
    verdict = "" if wanted is None else f"wanted <= {wanted}  {'ok' if ours / peer <= wanted else 'MISSED'}"
    print(f"{name:36} {ours:10.3f}  {peer:10.3f} {peer_name:32} ratio {ours / peer:6.3f}  {verdict}")


def main():
    server = start()
    times = {name: [] for name in ("floor", "first", "second", "restore", "dump", "undump")}
    try:
        rng, count = random.Random(3), 0
        with server.client() as client:
            while count * 430 < MIB << 20:
                client.insert("bench", "orders", orders(rng, count, 20000))
                count += 20000
        print(f"{server.name}: {count} documents; medians of {RUNS}")
        for number in range(RUNS):
            floor = subprocess.run([os.path.join(BIN, "tests/mongodb_floor"), server.url("bench")], check=True, stdout=subprocess.PIPE, text=True).stdout
            times["floor"].append(float(floor.split()[2]))
            if shutil.which("mongodump"):
                dump = os.path.join(server.folder, "dump.archive")
                times["dump"].append(timed(lambda: subprocess.run(["mongodump", "--quiet", "--gzip", f"--archive={dump}", server.url("bench")], check=True))[0])
            with Daemon() as daemon:
                daemon.ok("database", "add", "bench", server.url("bench"))
                took, first = backup(daemon)
                times["first"].append(took)
                begin = count * (20 + number) // 100
                with server.client() as client:
                    client.command("bench", {"update": "orders", "updates": [
                        {"q": {"_id": {"$gte": begin, "$lt": begin + count // 100}}, "u": {"$set": {"token": f"changed {number}"}}, "multi": True}]})
                took, second = backup(daemon)
                times["second"].append(took)
                daemon.ok("database", "add", "copy", server.url(f"copy{number}"))
                daemon.ok("database", "allow-restore", "copy")
                times["restore"].append(timed(lambda: daemon.ok("restore", second["id"], "--to", "copy", "--wait", timeout=1200))[0])
                added = [one["statistics"]["added_bytes"] for one in (first, second)]
                if number == RUNS - 1:
                    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
                        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
                    print(f"peak resident memory of the daemon: {peak // 1024} MiB")
        median = {name: statistics.median(values) for name, values in times.items() if values}
        row("first backup, s", median["first"], median["floor"], "driver loop, s", 1.3)
        row("second backup after 1 %, MB added", added[1] / 1e6, added[0] / 1e6, "first backup, MB", 0.03)
        row("second backup, s", median["second"], median["first"], "first backup, s")
        row("restore with proof, s", median["restore"], median["floor"], "driver loop, s")
        if "dump" in median:
            row("first backup, s", median["first"], median["dump"], "mongodump --gzip, s", 0.8)
    finally:
        server.stop()


main()
