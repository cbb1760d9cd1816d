# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Processes as /proc shows them."""
import glob
import os
import re
from collections import namedtuple

CAP_SYS_RESOURCE = 24

Process = namedtuple("Process", "pid ppid name uid cmdline")


def may_lower_scores():
    """May this process, and so httpd's master, lower an oom_score_adj?"""
    with open("/proc/self/status") as f:
        caps = int(re.search(r"^CapEff:\s*(\w+)", f.read(), re.M)[1], 16)
    return bool(caps >> CAP_SYS_RESOURCE & 1)


def process(pid):
    """None if there is none any more."""
    try:
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        with open(f"/proc/{pid}/cmdline") as f:
            cmdline = f.read().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if status["State"].lstrip()[0] in "ZX":
        return None
    return Process(pid, int(status["PPid"]), status["Name"], int(status["Uid"].split()[0]),
                   cmdline)


def parent(pid):
    """Its parent's pid, that of a zombie, too; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def oom_score_adj(pid):
    with open(f"/proc/{pid}/oom_score_adj") as f:
        return int(f.read())


def proc_status(pid):
    """VmRSS, RssAnon and the like in bytes."""
    with open(f"/proc/{pid}/status") as f:
        return {m[1]: int(m[2]) * 1024 for m in
                (re.match(r"(\w+):\s+(\d+) kB", line) for line in f) if m}


def listens(pid, inodes):
    try:
        return any(os.readlink(f) in inodes for f in glob.glob(f"/proc/{pid}/fd/*"))
    except OSError:
        return False
