# Licensed under the Apache License, Version 2.0; see LICENSE.
"""httpd's error log: its lines, and the audit of what a test did not say it would cause."""
import re
from collections import namedtuple

LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug") + tuple(
    f"trace{n}" for n in range(1, 9))

# Whose notices must be declared, too.
OUR_MODULES = ("oom", "oomguard")

# Notices of httpd's by which it says that a child crashed.
CRASHES = ("AH00051", "AH00052")

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
    if line.level == "raw" or line.tag in CRASHES:
        return True
    worst = "notice" if line.module in OUR_MODULES else "warn"
    return LEVELS.index(line.level) <= LEVELS.index(worst)


class Declaration:
    """Of a tag (OG0101, AH00045), or of a regular expression to be found in the text."""

    def __init__(self, what):
        self.what = what
        self.is_tag = re.fullmatch(r"AH\d{5}|OG\d{4}", what) is not None

    def fits(self, line):
        if self.is_tag:
            return line.tag == self.what
        return re.search(self.what, line.text) is not None


class Expectation(Declaration):
    """Of lines that must be there: so many, or at least one."""

    def __init__(self, what, times=None):
        super().__init__(what)
        self.times = times

    def wrong(self, seen):
        if self.times is not None and seen != self.times:
            return f"declared {self.times} times, seen {seen}: {self.what}"
        return None if seen else f"declared, never seen: {self.what}"


class Allowance(Declaration):
    """Of lines that may be there, but not more than so many; and why."""

    def __init__(self, what, why, most=None):
        super().__init__(what)
        self.why, self.most = why, most

    def wrong(self, seen):
        if self.most is not None and seen > self.most:
            return f"allowed {self.most} times, seen {seen}: {self.what}"
        return None


def audit(lines, declarations):
    """What is wrong, a sentence each: lines that nobody declared, declarations that did not
    come true, or not as often as they said."""
    wrong = [f"undeclared: [{line.module}:{line.level}] {line.text}" for line in lines
             if needs_word(line) and not any(d.fits(line) for d in declarations)]
    for d in declarations:
        said = d.wrong(sum(d.fits(line) for line in lines))
        if said:
            wrong.append(said)
    return wrong
