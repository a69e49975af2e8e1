#!/usr/bin/env python3
"""Judges with a reader of calendars that is not ours (the package icalendar) what became of many feeds, broken ones too.

  corpus.py mirrored          reads lines of `FEED<TAB>FOLDER`; prints a line for each component that is not in the folder
                              as the feed has it: FEED, UID, and the names of the properties that differ, or `missing`,
                              `invented`, `misplaced`
  corpus.py stored DATABASE FOLDER
                              writes every object that sabre/dav keeps in its database to FOLDER, by calendar
  corpus.py changes FEED…     for each feed after the first, how many objects were added, changed, removed and renamed

Unlike compare.py this reads what is broken as far as that is possible, and knows that an object may get a derived UID.
"""
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from icalendar.parser import Contentline

from compare import VOLATILE, meaning, written

OBJECTS = {"VEVENT", "VTODO", "VJOURNAL"}
DERIVED = "baikal-sync-"
NO_TEXT = re.compile(r"UID|DT|DUE|RDATE|EXDATE|RRULE|RECURRENCE-ID|ORGANIZER|ATTENDEE|CREATED|LAST-MODIFIED|STATUS|CLASS|TRANSP|PRIORITY|SEQUENCE|GEO|URL|PERCENT")


def text_of(octets):
    """Folds count octets and may stand inside a character, so they are joined first."""
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        octets = octets.decode("utf-16").encode()
    octets = re.sub(rb"(\r*\n)+[ \t]", b"", octets.removeprefix(b"\xef\xbb\xbf"))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


@cache
def parts(line):
    """(name, parameters, value) of a line; None for what is no property, of which the reader knows fewer than RFC 5545."""
    if not re.match(r"[\w.-]+(;.*)?:(?!//)", line):
        return None
    try:
        name, parameters, value = Contentline(line).parts()
        if name.upper() == "TRIGGER":
            # Its form tells its type.
            parameters.pop("VALUE", None)
        return name.upper(), written(parameters), meaning(name.upper(), value)
    except ValueError:
        return None


def one_by_one(line):
    """Dates in one line are those in a line each."""
    name, parameters, value = line
    dates = value.split(",") if name in ("EXDATE", "RDATE") else [value]
    return [(name, parameters, date) for date in dates]


def components(path):
    """All components inside the calendars of a file, each as (name, lines, components) with hashable content."""
    top = ("", [], [])
    stack = [top]
    for line in re.split(r"\r*\n", text_of(Path(path).read_bytes())):
        known = parts(line) if line else None
        if known and known[0] == "BEGIN":
            stack.append((known[2].strip().upper(), [], []))
        elif known and known[0] == "END" and len(stack) > 1:
            kind, lines, inner = stack.pop()
            stack[-1][2].append((kind, tuple(sorted(lines)), tuple(sorted(inner))))
        elif known:
            if known[0] not in VOLATILE:
                stack[-1][1].extend(one_by_one(known))
        elif line and stack[-1][1] and not NO_TEXT.match(stack[-1][1][-1][0]):
            # A text whose line breaks were not escaped goes on here.
            name, parameters, value = stack[-1][1].pop()
            stack[-1][1].append((name, parameters, value + "\\n" + line))
        elif line:
            stack[-1][1].append((re.match(r"[\w.-]*", line)[0].upper() or "a line", (), line))
    return [one for name, _, inner in top[2] if name == "VCALENDAR" for one in inner]


def value(component, wanted):
    return next((value for name, _, value in component[1] if name == wanted), "")


def uid(component):
    return value(component, "UID").strip()


def nameless(component):
    kind, lines, inner = component
    return kind, tuple(line for line in lines if line[0] != "UID"), inner


def own_uid(component):
    return "" if uid(component).startswith(DERIVED) else uid(component)


def undated(component):
    return tuple(line for line in component[1] if line[0] not in ("UID", "DTSTART", "DTEND", "DUE"))


def of_kind(found, kinds):
    return [one for one in found if one[0] in kinds]


def flat(component, path=""):
    """All lines with the components that they stand in."""
    kind, lines, inner = component
    found = Counter((path + name, parameters, value) for name, parameters, value in lines)
    for one in inner:
        found[path + one[0], "", ""] += 1
        found += flat(one, path + one[0] + ".")
    return found


def names(one, other):
    one, other = flat(one), flat(other)
    return ",".join(sorted({name for name, _, _ in (one - other) | (other - one)}))


def take(wanted, found, key_of, tell):
    """Pairs what has the same key, tells of each pair, and leaves the rest in both."""
    by_key = defaultdict(list)
    for one in found.elements():
        by_key[key_of(one)].append(one)
    for one in list(wanted.elements()):
        if others := by_key[key_of(one)]:
            other = others.pop()
            wanted[one] -= 1
            found[other] -= 1
            yield from tell(one, other)


def mirrored(feed, folder):
    feed = components(feed)
    files = [components(file) for file in sorted(Path(folder).glob("*.ics"))]
    wanted = Counter(of_kind(feed, OBJECTS))
    found = Counter(one for file in files for one in of_kind(file, OBJECTS))
    wanted, found = wanted - found, found - wanted
    derived = lambda one: (nameless(one), "") if uid(one).startswith(DERIVED) or one in wanted else (one, "apart")
    yield from take(wanted, found, derived, lambda one, other: [(uid(one) or uid(other), "UID")])
    for key in (
        lambda one: (one[0], uid(one), value(one, "RECURRENCE-ID"), value(one, "DTSTART")),
        lambda one: (one[0], uid(one), value(one, "RECURRENCE-ID")),
        lambda one: (one[0], uid(one)),
        lambda one: (one[0], own_uid(one), undated(one)),
        lambda one: (one[0], own_uid(one), value(one, "SUMMARY")),
    ):
        yield from take(wanted, found, key, lambda one, other: [(uid(one), names(one, other))])
    yield from ((uid(one), "missing") for one in wanted.elements())
    yield from ((uid(one), "invented") for one in found.elements())
    yield from zones(feed, files)


def zones(feed, files):
    """Every object in a file of its own, with the time zones that it uses and the feed defines."""
    known = defaultdict(list)
    for zone in of_kind(feed, {"VTIMEZONE"}):
        known[value(zone, "TZID")].append(zone)
    for file in files:
        if len({(one[0], uid(one)) for one in of_kind(file, OBJECTS)}) != 1:
            yield "", "misplaced"
        inside = of_kind(file, {"VTIMEZONE"})
        used = {dict(parameters).get("TZID") for one in file for _, parameters, _ in flat(one) if parameters}
        if (used & known.keys()) - {value(zone, "TZID") for zone in inside}:
            yield "", "VTIMEZONE"
        for zone in inside:
            # Radicale brings along what the feed forgot.
            originals = known[value(zone, "TZID")]
            if originals and zone not in originals:
                yield "", "VTIMEZONE," + names(originals[0], zone)


def objects(feed):
    """Objects by UID; where there is none, by content."""
    grouped = defaultdict(Counter)
    for one in of_kind(components(feed), OBJECTS):
        grouped[one[0], uid(one) or one][one] += 1
    return grouped


def changes(old, new):
    content = lambda grouped, keys: Counter(frozenset((nameless(one), n) for one, n in grouped[key].items()) for key in keys)
    old, new = objects(old), objects(new)
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    changed = sum(old[key] != new[key] for key in old.keys() & new.keys())
    # A feed that renames its objects renames most of them.
    renamed = content(old, removed) & content(new, added) if 2 * len(removed) >= len(old) else Counter()
    return len(added) - renamed.total(), changed, len(removed) - renamed.total(), renamed.total()


def stored(database, folder):
    query = "SELECT calendars.uri, o.uri, o.calendardata FROM calendarobjects o JOIN calendars ON calendars.id = o.calendarid"
    for calendar, name, text in sqlite3.connect(database).execute(query):
        file = Path(folder) / calendar / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())


if sys.argv[1] == "stored":
    stored(*sys.argv[2:])
elif sys.argv[1] == "changes":
    for old, new in zip(sys.argv[2:], sys.argv[3:]):
        print(*changes(old, new))
else:
    for line in sys.stdin.read().splitlines():
        feed, folder = line.split("\t")
        for said in sorted(set(mirrored(feed, folder))):
            print(feed, *said, sep="\t")
