# Licensed under the Apache License, Version 2.0; see LICENSE.
"""httpd's error log: its lines, and the audit of what a test did not say it would cause."""
import re
from collections import namedtuple

LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug") + tuple(
    f"trace{n}" for n in range(1, 9))

# Whose notices must be declared, too.
OUR_MODULES = ("oom", "oomguard")

LINE = re.compile(r"\[(?P<time>[^\]]+)\] \[(?P<module>[^:\]]*):(?P<level>[a-z]+[1-8]?)\] "
                  r"\[pid (?P<pid>\d+)(?::tid (?P<tid>\d+))?\] (?P<text>.*)$", re.S)
# Behind an errno and a client, but not from within what somebody has sent.
TAG = re.compile(r"(?:\(-?\d+\)[^:]*: )?(?:\[[a-z]+ [^\]]*\] )*(?P<tag>AH\d{5}|OG\d{4}): ")

# level is "raw" for what is no line of httpd's: stderr of a child, or the console.
Line = namedtuple("Line", "level module pid tid tag text")


def parse_line(raw):
    m = LINE.match(raw)
    if not m or m["level"] not in LEVELS:
        return Line("raw", "", None, None, None, raw)
    tag = TAG.match(m["text"])
    return Line(m["level"], m["module"], int(m["pid"]), int(m["tid"]) if m["tid"] else None,
                tag["tag"] if tag else None, m["text"])


def parse(text):
    return [parse_line(raw) for raw in text.splitlines() if raw.strip()]


def needs_word(line):
    """Must a test have declared this line?"""
    if line.level == "raw":
        return True
    worst = "notice" if line.module in OUR_MODULES else "warn"
    return LEVELS.index(line.level) <= LEVELS.index(worst)


class Expectation:
    """A tag (OG0101, AH00045), or a regular expression to be found in the text."""

    def __init__(self, what, times=None, optional=False):
        self.what, self.times, self.optional = what, times, optional
        self.is_tag = re.fullmatch(r"AH\d{5}|OG\d{4}", what) is not None

    def fits(self, line):
        if self.is_tag:
            return line.tag == self.what
        return re.search(self.what, line.text) is not None


def audit(lines, expectations):
    """What is wrong, a sentence each: lines that nobody declared, declarations that did not
    come true, or not as often as they said."""
    wrong = []
    for line in lines:
        if needs_word(line) and not any(e.fits(line) for e in expectations):
            wrong.append(f"undeclared: [{line.module}:{line.level}] {line.text}")
    for e in expectations:
        seen = sum(e.fits(line) for line in lines)
        if e.times is not None and seen != e.times and not (e.optional and seen == 0):
            wrong.append(f"declared {e.times} times, seen {seen}: {e.what}")
        elif e.times is None and seen == 0 and not e.optional:
            wrong.append(f"declared, never seen: {e.what}")
    return wrong
