#!/usr/bin/python3
"""SQLite: first backup, second backup after a change of 1 % in one place, restore; ours beside .backup, zstd, restic. Warm cache.

Medians of RUNS runs (default 3). Sizes and times of the peers come from the same machine in the same run.
"""
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon  # noqa: E402

RUNS = int(os.environ.get("RUNS", "3"))
GIB = float(os.environ.get("GIB", "1"))
WORK = tempfile.mkdtemp(prefix="dbbackup-bench-", dir=os.environ.get("BENCH_DIR"))


def timed(*command, **more):
    os.sync()  # nobody pays for what another has left to be written
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)
    return time.monotonic() - begin


def tree_bytes(folder):
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(folder) for name in names)


def make_database(path):
    """Orders as a shop has them: numbers, times, words and some incompressible tokens; two indexes."""
    rng = random.Random(7)
    words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 9))) for _ in range(1500)]
    phrases = [" ".join(rng.choices(words, k=rng.randint(3, 8))) for _ in range(4000)]
    db = sqlite3.connect(path)
    db.executescript("""PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, created TEXT, total REAL, token TEXT, note TEXT);
        CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER, product INTEGER, quantity INTEGER, price REAL, label TEXT);
        CREATE INDEX orders_by_customer ON orders(customer); CREATE INDEX lines_by_order ON lines(order_id);""")
    number = 0
    while os.path.getsize(path) < GIB * (1 << 30):
        db.executemany("INSERT INTO orders VALUES (?,?,?,?,?,?)", [
            (number + i, rng.randrange(200000), f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
             rng.randrange(10000000) / 100, f"{rng.getrandbits(48):012x}", " ".join(rng.choices(phrases, k=rng.randint(2, 6)) + rng.choices(words, k=rng.randint(3, 8)))) for i in range(20000)])
        db.executemany("INSERT INTO lines VALUES (?,?,?,?,?,?)", [
            (number + i, number + i, rng.randrange(5000), rng.randrange(20), rng.randrange(100000) / 100, rng.choice(phrases)) for i in range(20000)])
        number += 20000
        db.commit()
    db.close()
    return number


def change_one_percent(path, rows, round_number):
    db = sqlite3.connect(path)
    begin = rows * (30 + round_number) // 100
    db.execute("UPDATE orders SET total = total + 1, token = hex(randomblob(8)) WHERE id BETWEEN ? AND ?", (begin, begin + rows // 100))
    db.execute("UPDATE lines SET price = price + 1 WHERE id BETWEEN ? AND ?", (begin, begin + rows // 100))
    db.commit()
    db.close()


def peak_memory(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def ours_backup(daemon):
    os.sync()
    begin = time.monotonic()
    run = daemon.json("backup", "big", "--wait", timeout=600)
    took = time.monotonic() - begin
    artifact = daemon.json("artifact", "show", run.get("run", run)["artifact"])["artifact"]
    return took, artifact["statistics"]["added_bytes"], artifact["id"]


def row(name, ours, peer, peer_name, wanted):
    ratio = ours / peer if peer else float("nan")
    verdict = "" if wanted is None else ("ok" if ratio <= wanted else "MISSED")
    limit = "" if wanted is None else f"wanted <= {wanted}"
    print(f"{name:44} {ours:12.3f}  {peer:12.3f} {peer_name:34} ratio {ratio:6.3f}  {limit:16} {verdict}")


def main():
    big = os.path.join(WORK, "big.db")
    copy = os.path.join(WORK, "copy.db")
    packed = os.path.join(WORK, "copy.db.zst")
    rows = make_database(big)
    print(f"database: {os.path.getsize(big) / (1 << 20):.0f} MiB, {2 * rows} rows; medians of {RUNS}")
    env = dict(os.environ, RESTIC_PASSWORD="bench", RESTIC_CACHE_DIR=os.path.join(WORK, "restic-cache"))
    repository = os.path.join(WORK, "restic")
    peers = {name: [] for name in ("backup", "backup+zstd", "restic first", "restic second", "restic first bytes", "restic second bytes", "zstd -d")}
    ours = {name: [] for name in ("first", "first bytes", "second", "second bytes", "restore", "restore plain", "peak")}

    for number in range(RUNS):
        # Ours and the peers take turns, so that a machine that slows down slows all of them.
        for path in (copy, packed):
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(repository, ignore_errors=True)
        plain = timed("sqlite3", big, f".backup {copy}")
        peers["backup"].append(plain)
        peers["backup+zstd"].append(plain + timed("zstd", "-3", "-q", copy, "-o", packed))
        zstd_bytes = os.path.getsize(packed)
        subprocess.run(["restic", "-q", "-r", repository, "init"], check=True, env=env, stdout=subprocess.DEVNULL)
        peers["restic first"].append(timed("restic", "-q", "-r", repository, "backup", copy, env=env))
        peers["restic first bytes"].append(tree_bytes(repository))

        folder = os.path.join(WORK, f"daemon{number}")
        os.makedirs(folder)
        with Daemon(folder=folder) as daemon:
            daemon.ok("database", "add", "big", f"sqlite://{big}")
            took, first_bytes, first = ours_backup(daemon)
            ours["first"].append(took)
            ours["first bytes"].append(first_bytes)

            change_one_percent(big, rows, number)
            os.unlink(copy)
            subprocess.run(["sqlite3", big, f".backup {copy}"], check=True)
            before = tree_bytes(repository)
            peers["restic second"].append(timed("restic", "-q", "-r", repository, "backup", copy, env=env))
            peers["restic second bytes"].append(tree_bytes(repository) - before)
            took, second_bytes, second = ours_backup(daemon)
            ours["second"].append(took)
            ours["second bytes"].append(second_bytes)

            os.unlink(copy)
            peers["zstd -d"].append(timed("zstd", "-d", "-q", packed, "-o", copy))
            for name, target in (("restore plain", "plain"), ("restore", "proved")):
                # The first restore runs integrity_check; the second is of an artifact that a drill has proved.
                if name == "restore":
                    daemon.ok("artifact", "drill", second, "--wait", timeout=600)
                path = os.path.join(WORK, target + ".db")
                daemon.ok("database", "add", target, f"sqlite://{path}")
                daemon.ok("database", "allow-restore", target)
                os.sync()
                begin = time.monotonic()
                daemon.ok("restore", second, "--to", target, "--wait", timeout=600)
                ours[name].append(time.monotonic() - begin)
                os.unlink(path)
            ours["peak"].append(peak_memory(daemon))
            if number == 0:
                print(daemon.ok("run", "log", daemon.json("run", "list", "--limit", "1")["runs"][0]["id"]).out)
        shutil.rmtree(folder, ignore_errors=True)

    median = {name: statistics.median(values) for name, values in {**peers, **{"our " + k: v for k, v in ours.items()}}.items()}
    mb = 1e6
    row("first backup, s", median["our first"], median["backup+zstd"], ".backup then zstd -3, s", 0.8)
    row("first backup, s", median["our first"], median["restic first"], "restic of a copy, s", None)
    row("first backup, MB stored", median["our first bytes"] / mb, zstd_bytes / mb, "zstd -3, MB", 1.1)
    row("first backup, MB stored", median["our first bytes"] / mb, median["restic first bytes"] / mb, "restic, MB", None)
    row("second backup, MB added", median["our second bytes"] / mb, median["our first bytes"] / mb, "our first backup, MB", 0.025)
    row("second backup, MB added", median["our second bytes"] / mb, median["restic second bytes"] / mb, "restic, MB", None)
    row("second backup, s", median["our second"], median["our first"], "our first backup, s", 0.4)
    row("second backup, s", median["our second"], median["restic second"], "restic of a copy, s", None)
    row("restore of a proved artifact, s", median["our restore"], median["zstd -d"], "zstd -d, s", 1.3)
    row("restore with integrity_check, s", median["our restore plain"], median["zstd -d"], "zstd -d, s", None)
    print(f"peak resident memory of the daemon: {median['our peak'] / (1 << 20):.0f} MiB")


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
