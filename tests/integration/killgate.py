# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How often the tests of this machine let the kernel kill. The kernel prints the header of a
kill's report at most ten times in five seconds, for the whole machine; without it a report does
not say which cgroup was full. All runs of the tests on one machine share this gate."""
import contextlib
import fcntl
import json
import os
import time

# The kernel's DEFAULT_RATELIMIT_BURST (10) and _INTERVAL (5 s), with room for kills that nobody
# asked for: the kernel may kill a second one before the memory of the first is free.
BURST = 8
INTERVAL_SECONDS = 5.2

FOLDER = "/run/mod_oom-tests"


def _open(name):
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    return os.open(f"{FOLDER}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _locked(name, how=fcntl.LOCK_EX):
    fd = _open(name)
    try:
        fcntl.flock(fd, how)
        yield fd
    finally:
        os.close(fd)


def _note(count, room=BURST):
    """Notes so many kills, if there is room for them. Else the seconds until there may be."""
    with _locked("kills") as fd:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        recent = [at for at in json.loads(os.read(fd, 65536) or "[]")
                  if now - INTERVAL_SECONDS < at <= now]
        if len(recent) + count > room:
            return min(recent) + INTERVAL_SECONDS - now
        os.lseek(fd, 0, os.SEEK_SET)
        os.truncate(fd, 0)
        os.write(fd, json.dumps(recent + [now] * count).encode())
        return None


@contextlib.contextmanager
def one():
    """A kill whose report is to have its header happens within this."""
    with _locked("turn"):  # whoever waits to be alone comes first
        alone = _open("alone")
        fcntl.flock(alone, fcntl.LOCK_SH)
    try:
        while (wait := _note(1)) is not None:
            time.sleep(wait)
        yield
    finally:
        os.close(alone)


@contextlib.contextmanager
def flood():
    """So many kills that the kernel leaves headers out: nobody else kills meanwhile."""
    with _locked("turn"), _locked("alone"):
        try:
            yield
        finally:
            _note(BURST, room=2 * BURST)  # none before the kernel begins a new interval
