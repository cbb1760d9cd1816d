# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Graceful restarts under load: after many of them httpd has what it had after ten, and the
guard with it."""
import http.client
import os
import re
import threading
import time
from collections import namedtuple

import pytest

from test_guard import watcher

FIRST = 10  # or half of them, if they are few
CLIENTS = 4

# What httpd's own heap may grow by, whatever the number of restarts, and what each may cost.
ONCE_KIB = 24
EACH_KIB = 0.5

# As many as there may be, so that there are always so many.
PREFORK = """StartServers 4
MinSpareServers 4
MaxSpareServers 8
ServerLimit 4
MaxRequestWorkers 4
"""
THREADED = """StartServers 2
ServerLimit 8
ThreadLimit 4
ThreadsPerChild 4
MinSpareThreads 8
MaxSpareThreads 16
MaxRequestWorkers 8
"""

Held = namedtuple("Held", "processes master_fds watcher_fds shared shared_kib ipc")


class Load:
    """Clients that ask again and again by connections that are kept alive. One that httpd has
    closed is opened anew; a new one must get its answer."""

    def __init__(self, server):
        self.server, self.answers, self.lost = server, 0, []
        self._go, self._end = threading.Event(), False
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        self._go.set()

    def _ask(self):
        conn = None
        while not self._end:
            if not self._go.is_set():
                conn = conn and conn.close()
                self._go.wait()
                continue
            new = conn is None
            if new:
                conn = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
            try:
                conn.request("GET", "/index.html")
                answer = conn.getresponse()
                answer.read()
                self.answers += 1
                if answer.will_close:
                    conn = None
            except (OSError, http.client.HTTPException) as e:
                conn = conn.close()
                if new:
                    self.lost.append(e)
            time.sleep(0.01)
        if conn is not None:
            conn.close()

    def pause(self):
        self._go.clear()

    def resume(self):
        self._go.set()

    def stop(self):
        self._end = True
        self._go.set()
        for thread in self._threads:
            thread.join()


def fds(pid):
    """Those that stay: now and then the master has a look at /proc."""
    def now():
        time.sleep(0.05)
        return set(os.listdir(f"/proc/{pid}/fd"))

    return len(set.intersection(*[now() for _ in range(5)]))


def shared(pid):
    """Mappings that are shared: (number, KiB)."""
    with open(f"/proc/{pid}/maps") as f:
        ranges = [line.split()[0].split("-") for line in f if line.split()[1].endswith("s")]
    return len(ranges), sum(int(end, 16) - int(start, 16) for start, end in ranges) >> 10


def anonymous_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Anonymous:\s+(\d+) kB", f.read(), re.M)[1])


def held(server):
    segments, kib = shared(server.master_pid)
    return Held(len(server.processes()), fds(server.master_pid),
                fds(watcher(server)), segments, kib,
                len(server.namespace.objects()))


def settle(server):
    """Waits until all workers are of one generation, as many as there may be, and the last of the
    one before has gone."""
    wanted = 4 if server.mpm == "prefork" else 2

    def settled():
        known = server.status()["workers"]
        alive = {p.pid for p in server.children() if p.uid != 0} - {watcher(server)}
        return (len(known) == wanted and len({w["generation"] for w in known}) == 1
                and alive == {w["pid"] for w in known})

    server.wait_for(settled, timeout=120, what="the end of what was there before the restart")


def restart_often(server, count, load):
    for _ in range(count):
        server.graceful(only_new=False)
    load.pause()
    settle(server)


def grown(server, restarts):
    """What it holds after the first few restarts, and after all; what the master has more then
    of its own, in KiB (the watcher is a copy of it, of another age); the answers that were lost."""
    server.allow("AH00161|AH00484|AH00287|AH10159", "there are no more workers than these")
    first = min(FIRST, restarts // 2)
    load = Load(server)
    try:
        restart_often(server, first, load)
        before, own = held(server), anonymous_kib(server.master_pid)
        load.resume()
        restart_often(server, restarts - first, load)
        after = held(server)
    finally:
        load.stop()
    more = anonymous_kib(server.master_pid) - own
    print(f"{restarts} restarts, {load.answers} answers, {len(load.lost)} lost; "
          f"{before}, {after}, anonymous {own} KiB, more: {more} KiB")
    return before, after, more, load.lost


def leaks(server, restarts):
    """What graceful restarts leave behind, a sentence each: [] if nothing."""
    before, after, more, lost = grown(server, restarts)
    allowed = ONCE_KIB + EACH_KIB * (restarts - min(FIRST, restarts // 2))
    wrong = [f"{name}: {old} after the first, {new} after all"
             for name, old, new in zip(Held._fields, before, after) if old != new]
    wrong += [f"{more} KiB more memory, and not {allowed}"] if more > allowed else []
    return wrong + [f"no answer: {e}" for e in lost]


def small(mpm):
    return PREFORK if mpm == "prefork" else THREADED


@pytest.mark.long
def test_many_graceful_restarts(httpd, mpm, restarts):
    assert leaks(httpd(small=small(mpm)), restarts) == []
