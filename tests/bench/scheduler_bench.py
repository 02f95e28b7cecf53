#!/usr/bin/python3
"""What 10,000 schedules cost a whole daemon while none is due, wanted under 1 % of a core, and one next fire, wanted under
20 us (scheduler_bench.cpp, where it is built)."""
import os
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fixture import Daemon, make_shop  # noqa: E402

SCHEDULES = 10000
SECONDS = 30


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def clone_schedules(path, count):
    """Copies of one schedule under new names, at all hours that are not near."""
    db = sqlite3.connect(path)
    columns = [row[1] for row in db.execute("PRAGMA table_info(schedules)")]
    row = dict(zip(columns, db.execute("SELECT * FROM schedules").fetchone()))
    now = time.gmtime()
    for number in range(count):
        hour = (now.tm_hour + 2 + number % 20) % 24
        clone = dict(row, name=f"schedule-{number}", cron=f"{number % 60} {hour} * * *")
        db.execute(f"INSERT INTO schedules ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
                   [clone[column] for column in columns])
    db.commit()
    db.close()


def main():
    program = os.path.join(os.environ["DBBACKUP_BIN"], "tests", "scheduler_bench")
    if os.path.exists(program):
        subprocess.run([program], check=True)
    else:
        print(f"not built: {program} (ninja scheduler_bench)")
    with Daemon() as daemon:
        shop = daemon.path("shop.db")
        make_shop(shop, customers=5, orders=5)
        daemon.ok("database", "add", "shop", f"sqlite://{shop}")
        daemon.ok("job", "add", "j", "--database", "shop")
        daemon.ok("schedule", "add", "s", "--job", "j", "--cron", "0 0 1 1 *", "--timezone", "UTC")
        daemon.stop()
        clone_schedules(os.path.join(daemon.state, "control.db"), SCHEDULES - 1)
        daemon.start()
        daemon.ok("schedule", "show", "schedule-17")
        begun, before = time.monotonic(), cpu_seconds(daemon.process.pid)
        time.sleep(SECONDS)
        percent = (cpu_seconds(daemon.process.pid) - before) / (time.monotonic() - begun) * 100
        print(f"daemon with {SCHEDULES} schedules, idle for {SECONDS} s: {percent:.2f} % of a core; wanted < 1 %: "
              f"{'ok' if percent < 1 else 'MISSED'}")


main()
