#!/usr/bin/env python3
"""Judges with a reader of calendars that is not ours (the package icalendar) what a calendar holds.

  compare.py holds FEED FOLDER     every object of the feed is in a file of the folder, whole, and nothing else is
  compare.py changes OLD NEW       prints how many objects were added, changed and removed between two feeds

An object is what shares a UID. Two are equal when their components hold the same properties with the same parameters
and values after unfolding, in any order. METHOD and the like belong to the feed, not to an object.
"""
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from icalendar import vDuration
from icalendar.parser import Contentlines

VOLATILE = {"DTSTAMP", "LAST-MODIFIED", "CREATED", "SEQUENCE"}


def components(octets):
    """The components inside VCALENDAR, each as (name, lines, components) with hashable content."""
    top = ("", [], [])
    stack = [top]
    for line in Contentlines.from_ical(octets.decode("utf-8")):
        if not line:
            continue
        name, parameters, value = line.parts()
        name = name.upper()
        if name == "BEGIN":
            stack.append((value.upper(), [], []))
        elif name == "END":
            kind, lines, inner = stack.pop()
            stack[-1][2].append((kind, tuple(sorted(as_typed_by_start(lines))), tuple(sorted(inner))))
        else:
            stack[-1][1].append((name, written(parameters), meaning(name, value)))
    (_, _, inner), = top[2]
    return inner


def as_typed_by_start(lines):
    """Radicale makes dates of the EXDATEs of an all-day series that a feed wrote with a time."""
    if not any(name == "DTSTART" and ("VALUE", "DATE") in parameters for name, parameters, _ in lines):
        return lines
    def aligned(line):
        name, _, value = line
        dates = ",".join(moment.split("T")[0] for moment in value.split(","))
        return ("EXDATE", (), dates) if name == "EXDATE" else line
    return map(aligned, lines)


def written(parameters):
    """Parameters without regard to their order and quotes. SCHEDULE-AGENT=CLIENT is ours: it keeps servers from mailing.
    X-VOBJ- is Radicale's: it marks times without a time zone."""
    def one(value):
        return ",".join(value) if isinstance(value, list) else str(value)
    pairs = ((name.upper(), one(value)) for name, value in parameters.items())
    foreign = lambda pair: pair == ("SCHEDULE-AGENT", "CLIENT") or pair[0].startswith("X-VOBJ-")
    return tuple(sorted(pair for pair in pairs if not foreign(pair)))


def meaning(name, value):
    """Servers write some values anew: the parts of a rule in another order, -P0DT0H10M0S as -PT10M, a text with escapes."""
    if name == "RRULE":
        return ";".join(sorted(value.split(";")))
    if name in ("DURATION", "TRIGGER"):
        try:
            return str(vDuration.from_ical(value))
        except ValueError:
            return value
    if name in ("SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CONTACT", "X-ALT-DESC"):
        # Radicale resolves the escape of a quote, which RFC 5545 does not know.
        return re.sub(r'\\([,;"])', r"\1", value)
    return value


def uid(component):
    return next((value for name, _, value in component[1] if name == "UID"), None)


def zones_used(component):
    kind, lines, inner = component
    named = {value for _, parameters, _ in lines for name, value in parameters if name == "TZID"}
    return named.union(*(zones_used(one) for one in inner)) if inner else named


def zones_defined(found):
    return {value for kind, lines, _ in found if kind == "VTIMEZONE" for name, _, value in lines if name == "TZID"}


def objects(octets):
    """UID -> the components of the object, counted."""
    grouped = defaultdict(Counter)
    for component in components(octets):
        if component[0] != "VTIMEZONE":
            grouped[uid(component)][component] += 1
    return grouped


def without_volatile(grouped):
    def calm(component):
        kind, lines, inner = component
        return kind, tuple(line for line in lines if line[0] not in VOLATILE), tuple(map(calm, inner))
    return {name: Counter(calm(component) for component in found.elements()) for name, found in grouped.items()}


def flat(found):
    """All lines of components, those of alarms too."""
    lines = set()
    for _, own, inner in found:
        lines |= set(own) | flat(inner)
    return lines


def differences(wanted, found):
    for word, lines in (("missing", flat(wanted) - flat(found)), ("instead", flat(found) - flat(wanted))):
        for name, parameters, value in sorted(lines):
            yield f"    {word} {name} {dict(parameters)} {value}"


def holds(feed, folder):
    octets = Path(feed).read_bytes()
    wanted, defined = without_volatile(objects(octets)), zones_defined(components(octets))
    complaints, seen = [], Counter()
    for file in sorted(Path(folder).glob("*.ics")):
        text = file.read_bytes()
        found = without_volatile(objects(text))
        if len(found) != 1:
            complaints.append(f"{file.name} holds {len(found)} objects")
        for name, object_ in found.items():
            seen[name] += 1
            if object_ != wanted.get(name):
                complaints.append(f"{name} differs:")
                complaints += differences(wanted.get(name, Counter()), object_)
        inside = components(text)
        used = set().union(*(zones_used(one) for one in inside))
        if missing := (used & defined) - zones_defined(inside):
            complaints.append(f"{file.name} uses {missing} without VTIMEZONE")
    complaints += [f"{name} is missing" for name in wanted if not seen[name]]
    complaints += [f"{name} is there {number} times" for name, number in seen.items() if number > 1]
    return complaints


def changes(old, new):
    old, new = (without_volatile(objects(Path(file).read_bytes())) for file in (old, new))
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    return f"{len(new.keys() - old.keys())} {changed} {len(old.keys() - new.keys())}"


if __name__ == "__main__":
    if sys.argv[1] == "changes":
        print(changes(*sys.argv[2:4]))
    else:
        complaints = holds(*sys.argv[2:4])
        print("\n".join(complaints))
        sys.exit(1 if complaints else 0)
