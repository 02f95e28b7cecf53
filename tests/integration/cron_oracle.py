#!/usr/bin/python3
"""Compares the fires of cron expressions with an independent implementation.

croniter (Debian: python3-croniter) says which minutes of a wall clock an expression names; Python's zoneinfo and the
daylight-saving rule of lib/schedule/README.md, written down here a second time, turn them into instants. Both sides
share nothing but the machine's time zone files.

Usage: cron_oracle.py TOOL [COUNT [SEED]]    TOOL is the built program cron_explain_tool

Where croniter reads an expression differently on purpose or by mistake, the case is turned into one on which both
agree, or is counted as explained; see dialect(). Exit status 1 when a difference remains.
"""

import datetime as dt
import heapq
import random
import subprocess
import sys
from zoneinfo import ZoneInfo

import croniter as croniter_module
from croniter import croniter

UTC = dt.timezone.utc
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
BEFORE = dt.timedelta(hours=25)
FURTHEST_EAST = dt.timedelta(hours=15)
FIRES = 8
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()

# Zones with the instants near which their clocks change, plus years in which nothing special happens.
ZONES = {
    "UTC": ["2026-11-21", "2028-02-28", "2099-12-30"],
    "Europe/Berlin": ["2026-03-28", "2026-10-24", "2026-06-01", "2050-03-26", "2050-10-29"],
    "America/New_York": ["2026-03-07", "2026-10-31", "2027-01-15", "2061-03-12"],
    "Australia/Lord_Howe": ["2026-04-04", "2026-10-03", "2045-04-01"],
    "America/Sao_Paulo": ["2018-11-03", "2018-02-17", "2026-05-01"],
    "Asia/Beirut": ["2026-03-28", "2026-10-24"],
    "Pacific/Apia": ["2011-12-28", "2026-05-01"],
    "Africa/Casablanca": ["2026-02-13", "2026-03-20"],
    "Europe/Dublin": ["2026-03-28", "2047-10-26"],
    "America/Nuuk": ["2026-03-27", "2044-10-28"],
    "Asia/Kolkata": ["2026-05-01", "2028-02-28"],
}


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def element(self, low, high, names):
        show = lambda value: str(value)
        if names and self.random.random() < 0.3:
            show = lambda value: names[value - low]
        first = self.random.randint(low, high)
        last = self.random.randint(first, high)
        step = self.random.randint(1, high - low + 1)
        kind = self.random.randrange(6)
        if kind == 0:
            return f"*/{step}"
        if kind == 1:
            return f"{first}-{last}/{step}"
        if kind == 2:
            return f"{show(first)}-{show(last)}"
        return show(first)

    def field(self, restricted, low, high, names=None):
        if self.random.random() > restricted:
            return "*"
        count = self.random.choice([1, 1, 1, 2, 3])
        return ",".join(self.element(low, high, names) for _ in range(count))

    def expression(self):
        if self.random.random() < 0.02:
            return self.random.choice(
                "@yearly @annually @monthly @weekly @daily @midnight @hourly".split())
        day = self.field(0.4, 1, 31)
        weekday = self.field(0.4, 0, 6, WEEKDAYS)
        if self.random.random() < 0.08:
            day = "L"
        if self.random.random() < 0.08:
            day = "*"
            weekday = f"{self.random.choice(WEEKDAYS + ['0', '3', '7'])}#{self.random.randint(1, 5)}"
        return " ".join([
            self.field(0.8, 0, 59), self.field(0.7, 0, 23), day,
            self.field(0.2, 1, 12, MONTHS), weekday])

    def night_expression(self):
        """Fires in the hours in which clocks are changed, on nearly every day."""
        hours = ["0", "1", "2", "3", "1,2", "2,3", "1-3", "22,23", "23", "*", "*/2", "1-3/2"]
        weekday = self.field(0.2, 0, 6, WEEKDAYS)
        return " ".join([self.field(0.9, 0, 59), self.random.choice(hours), "*", "*", weekday])

    def start(self, zone):
        day = dt.datetime.fromisoformat(self.random.choice(ZONES[zone])).replace(tzinfo=UTC)
        return day + dt.timedelta(seconds=self.random.randrange(36 * 3600))


class Explained(Exception):
    """A known difference between the dialects that cannot be translated."""


def values_of(field, low, high):
    """The numbers a field names, without L and weekday#n."""
    values = set()
    for element in field.lower().split(","):
        body, _, step = element.partition("/")
        first, _, last = body.partition("-")
        index = lambda text: WEEKDAYS.index(text) if text in WEEKDAYS else int(text)
        if body == "*":
            first, last = low, high
        elif body == "l" or "#" in body:
            continue
        else:
            first = index(first)
            last = index(last) if last else first
        values.update(range(first, last + 1, int(step or 1)))
    return values


def names_all(field, low, high):
    return len(values_of(field, low, high)) == high - low + 1


def dialect(expression):
    """The expressions to give to croniter, whose fires are to be united, and its day_or."""
    if expression.startswith("@"):
        return [expression], True
    minute, hour, day, month, weekday = expression.split()
    # cron(8): a day field that begins with * (also */2) makes both fields have to match. croniter looks at the
    # values instead of the star, so it is told which way to combine.
    day_or = not (day.startswith("*") or weekday.startswith("*"))
    # croniter takes 1-31 for *, which drops the "either": every day matches.
    if day_or and (names_all(day, 1, 31) or names_all(weekday, 0, 6)):
        day = weekday = "*"
    days = values_of(day, 1, 31)
    if not (1 < len(days) < 31 and max(days) > 28):
        return [" ".join([minute, hour, day, month, weekday])], day_or
    # croniter 1.3.5 steps over the first days of March when a list holds a day that February lacks ('0 5 */6 * *'
    # asked on 26 February gives 7 March instead of 1 March), so it gets such days one by one.
    parts = [[minute, hour, str(number), month, "*" if day_or else weekday] for number in sorted(days)]
    if day_or:
        parts.append([minute, hour, "*", month, weekday])
    return [" ".join(part) for part in parts], day_or


def croniter_minutes(text, day_or, start):
    iterator = croniter(text, start - MINUTE, ret_type=dt.datetime, day_or=day_or)
    while True:
        try:
            yield iterator.get_next()
        except croniter_module.CroniterBadDateError:
            fields = text.split()
            if day_or and fields[2] != "*" and fields[4] != "*":
                # croniter gives up when one of two alternatives never comes.
                fields[2] = "*"
                yield from croniter_minutes(" ".join(fields), day_or, start)
            return


def wall_minutes(expression, start):
    """Minutes of a wall clock from `start` on that the expression names (naive datetimes), in order."""
    texts, day_or = dialect(expression)
    previous = None
    for wall in heapq.merge(*(croniter_minutes(text, day_or, start) for text in texts)):
        if wall != previous:
            yield wall
        previous = wall


def follows_clock(expression):
    if expression.startswith("@"):
        return expression == "@hourly"
    hour = expression.split()[1]
    return "*" in hour or "/" in hour or names_all(hour, 0, 23)


def change_before(zone, after):
    """The first instant of the offset that holds at `after`, within the two days before it."""
    offset = after.astimezone(zone).utcoffset()
    low, high = after - 2 * DAY, after
    while high - low > dt.timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def instants(wall, zone, follows):
    """When a clock in `zone` shows `wall`, and what the daylight-saving rule makes of it."""
    showings = []
    for fold in (0, 1):
        instant = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == wall and instant not in showings:
            showings.append(instant)
    if showings:
        return showings if follows else showings[:1]
    if follows:
        return []
    # In the gap: fold 0 counts with the offset before it and so gives an instant behind the change.
    change = change_before(zone, wall.replace(tzinfo=zone, fold=0).astimezone(UTC))
    days = {(change - dt.timedelta(seconds=1)).astimezone(zone).date(),
            change.astimezone(zone).date()}
    return [change] if wall.date() in days else []


def expected_fires(expression, zone_name, start):
    zone = ZoneInfo(zone_name)
    follows = follows_clock(expression)
    # Begin early enough for a wall clock that was set forward by a day (Apia).
    local = start.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0) - BEFORE
    found = set()
    for wall in wall_minutes(expression, local):
        # No zone is further ahead of UTC, so what follows lies behind the fires found.
        if len(found) >= FIRES and wall.replace(tzinfo=UTC) > sorted(found)[FIRES - 1] + FURTHEST_EAST:
            break
        found.update(i for i in instants(wall, zone, follows) if i > start)
    return [i.strftime("%Y-%m-%dT%H:%M:%S.000Z") for i in sorted(found)[:FIRES]]


def compare(expression, zone, start, answer):
    """The text of a difference, or nothing."""
    status, *fires = answer.split("\t")
    expected = expected_fires(expression, zone, start)
    if status == "error":
        if expected or "never fires" not in answer:
            return f"{answer}, expected {expected}"
        return None
    # croniter looks at most 50 years ahead.
    if len(expected) < len(fires) and fires[:len(expected)] == expected:
        last = dt.datetime.fromisoformat(expected[-1][:19] if expected else start.isoformat()[:19])
        if fires[len(expected)] > (last + 49 * 365 * DAY).isoformat():
            raise Explained("further than croniter looks")
    if fires != expected:
        return f"found {fires}, expected {expected}"
    return None


def main():
    tool = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    generator = Generator(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    cases = []
    for number in range(count):
        # Half of the cases in UTC, where only the calendar counts.
        zone = "UTC" if number % 2 else generator.random.choice(list(ZONES))
        at_night = zone != "UTC" and generator.random.random() < 0.7
        expression = generator.night_expression() if at_night else generator.expression()
        cases.append((expression, zone, generator.start(zone)))
    lines = "".join(f"{expression}\t{zone}\t{start.isoformat()}\t{FIRES}\n"
                    for expression, zone, start in cases)
    run = subprocess.run([tool], input=lines, capture_output=True, text=True, check=True)
    answers = run.stdout.splitlines()
    if len(answers) != len(cases):
        sys.exit(f"{len(cases)} lines sent, {len(answers)} answered")

    differences = explained = 0
    for (expression, zone, start), answer in zip(cases, answers):
        try:
            difference = compare(expression, zone, start, answer)
        except Explained:
            explained += 1
            continue
        if difference:
            differences += 1
            if differences <= 20:
                print(f"'{expression}' {zone} from {start.isoformat()}: {difference}")
    print(f"cron oracle: {count} expressions compared, {explained} explained, "
          f"{differences} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
