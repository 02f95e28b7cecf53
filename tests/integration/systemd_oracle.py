#!/usr/bin/python3
"""Compares the fires of cron expressions with a second independent implementation: systemd's calendar events.

`systemd-analyze calendar` computes instants from an expression and a zone on its own; here the expressions of
cron_oracle.py are only spelled anew. The dialects agree but for this:

- crontab(5) takes either of two restricted day fields, systemd wants both: such a case is the union of two events.
- `mon#2` is written as the days 8 to 14, `L` as `*~01`.
- Where clocks are changed, systemd goes another way: a time in the gap does not fire on that day (02:30 in New York on
  2026-03-08), systemd 252 then even leaves out the rest of the day ('8..22,1:18' in Dublin on 2026-03-29), and an hour
  that comes twice fires once also for `*`. Fires within three hours of a change, on a day on which clocks go forward, and
  around a day that a zone jumped over are therefore left out here, and counted; cron_oracle.py compares those with
  croniter and zoneinfo.

Usage: systemd_oracle.py TOOL [COUNT [SEED]]    TOOL is the built program cron_explain_tool. Exit status 1 when a
difference remains.
"""

import datetime as dt
import os
import re
import subprocess
import sys
from zoneinfo import ZoneInfo

from cron_oracle import FIRES, MONTHS, UTC, WEEKDAYS, ZONES, Generator, values_of

AT_ONCE = 25  # expressions in one call, with one base time
SYSTEMD_DAYS = "Sun Mon Tue Wed Thu Fri Sat".split()
NAMED = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}


def spelled(field, low, high, names=None):
    """A list of values, ranges and steps as systemd writes it."""
    def number(text):
        return names.index(text.lower()) + 1 if names and text.lower() in names else int(text)
    elements = []
    for element in field.split(","):
        body, slash, step = element.partition("/")
        if body == "*" and not slash:
            return "*"
        first, dash, last = body.partition("-")
        first, last = (low, high) if body == "*" else (number(first), number(last) if dash else None)
        if slash and first + int(step) > last:
            elements.append(str(first))  # systemd refuses a step that leaves its range at once
        else:
            elements.append(f"{first}" + (f"..{last}" if last is not None else "") + slash + step)
    return ",".join(elements)


def event(minute, hour, day, month, weekdays, zone):
    month = spelled(month, 1, 12, MONTHS)
    date = f"*-{month}~01" if day == "L" else f"*-{month}-{day}"
    prefix = ",".join(SYSTEMD_DAYS[value] for value in sorted(weekdays)) + " " if weekdays else ""
    return f"{prefix}{date} {spelled(hour, 0, 23)}:{spelled(minute, 0, 59)}:00 {zone}"


def events(expression, zone):
    """The calendar events whose union an expression is."""
    minute, hour, day, month, weekday = NAMED.get(expression, expression).split()
    if "#" in weekday:
        name, _, nth = weekday.partition("#")
        which = values_of(name, 0, 6)
        return [event(minute, hour, f"{int(nth) * 7 - 6}..{min(int(nth) * 7, 31)}", month, {w % 7 for w in which}, zone)]
    weekdays = {value % 7 for value in values_of(weekday, 0, 6)} if weekday != "*" else set()
    spelled_day = day if day == "L" else spelled(day, 1, 31)
    if day.startswith("*") or weekday.startswith("*"):
        return [event(minute, hour, spelled_day, month, weekdays, zone)]
    return [event(minute, hour, spelled_day, month, set(), zone), event(minute, hour, "*", month, weekdays, zone)]


def ask_systemd(texts, start):
    """The next instants of each calendar event."""
    run = subprocess.run(
        ["systemd-analyze", "calendar", f"--iterations={FIRES}", f"--base-time={start:%Y-%m-%d %H:%M:%S} UTC", *texts],
        capture_output=True, text=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"})
    if run.returncode:
        sys.exit(f"systemd-analyze failed: {run.stderr}")
    blocks = run.stdout.split("Normalized form:")[1:]
    if len(blocks) != len(texts):
        sys.exit(f"{len(texts)} events asked, {len(blocks)} answered")
    found = []
    for block in blocks:
        times = re.findall(r"(?:Next elapse|Iter\. #\d+): \w{3} (\S+ \S+) UTC", block)
        found.append([dt.datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times])
    return found


def near_change(instant, zone):
    """Whether the clocks are changed around this time, or go forward on this day."""
    offset = lambda hours: (instant + dt.timedelta(hours=hours)).astimezone(zone).utcoffset()
    midnight = dt.datetime.combine(instant.astimezone(zone).date(), dt.time(), zone)
    forward = (midnight + dt.timedelta(days=1)).utcoffset() > midnight.utcoffset()
    return forward or offset(-3) != offset(3) or abs(offset(-26) - offset(26)) > dt.timedelta(hours=12)


def far_from_changes(instants, zone, horizon):
    return [instant for instant in instants if instant <= horizon and not near_change(instant, zone)]


def main():
    tool = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    generator = Generator(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    zones = list(ZONES)
    compared = left_out = differences = 0
    for _ in range(0, count, AT_ONCE):
        start = generator.start(generator.random.choice(zones)).replace(second=0)
        cases = []
        for _ in range(AT_ONCE):
            at_night = generator.random.random() < 0.3
            expression = generator.night_expression() if at_night else generator.expression()
            cases.append((expression, generator.random.choice(zones)))
        lines = "".join(f"{expression}\t{zone}\t{start.isoformat()}\t{FIRES}\n" for expression, zone in cases)
        run = subprocess.run([tool], input=lines, capture_output=True, text=True, check=True)
        asked = [events(expression, zone) for expression, zone in cases]
        answers = iter(ask_systemd([text for texts in asked for text in texts], start))
        for (expression, zone_name), texts, answer in zip(cases, asked, run.stdout.splitlines()):
            zone = ZoneInfo(zone_name)
            theirs = sorted({instant for _ in texts for instant in next(answers)})[:FIRES]
            status, *fires = answer.split("\t")
            if status == "error" and "never fires" not in answer:
                sys.exit(f"'{expression}': {answer}")
            ours = [dt.datetime.fromisoformat(fire[:19]).replace(tzinfo=UTC) for fire in fires] if status == "ok" else []
            # Both tell only the first few: compare as far as both go.
            ends = [fires[-1] for fires in (ours, theirs) if len(fires) == FIRES]
            horizon = min(ends) if ends else dt.datetime.max.replace(tzinfo=UTC)
            mine, yours = (far_from_changes(fires, zone, horizon) for fires in (ours, theirs))
            compared += len(mine)
            left_out += sum(instant <= horizon for instant in ours) - len(mine)
            if mine != yours:
                differences += 1
                if differences <= 20:
                    show = lambda fires: [f"{fire:%Y-%m-%dT%H:%M}" for fire in fires]
                    print(f"'{expression}' {zone_name} from {start.isoformat()}: {show(mine)}, "
                          f"systemd {texts}: {show(yours)}")
    print(f"systemd oracle: {count} expressions, {compared} fires compared, {left_out} near a change of clocks left out, "
          f"{differences} differences")
    sys.exit(1 if differences or compared < 4 * count else 0)


if __name__ == "__main__":
    main()
