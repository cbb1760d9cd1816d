# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Graceful restarts under load: after many of them httpd has what it had after ten, and the
guard with it."""
import http.client
import os
import re
import threading
import time
from collections import namedtuple

import httpd as harness
from test_guard import watcher

FIRST = 10  # or half of them, if they are few
CLIENTS = 4

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
    return len(os.listdir(f"/proc/{pid}/fd"))


def shared(pid):
    """Mappings that are shared: (number, KiB)."""
    with open(f"/proc/{pid}/maps") as f:
        ranges = [line.split()[0].split("-") for line in f if line.split()[1].endswith("s")]
    return len(ranges), sum(int(end, 16) - int(start, 16) for start, end in ranges) >> 10


def anonymous_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Anonymous:\s+(\d+) kB", f.read(), re.M)[1])


def held(server):
    own = {p.pid for p in server.processes()}
    segments, kib = shared(server.master_pid)
    return Held(len(own), fds(server.master_pid),
                fds(watcher(server)) if "oomguard" in server.own else 0, segments, kib,
                sum(maker in own for maker in harness.ipc_objects().values()))


def quiet(server, wanted=None):
    """What it holds when nothing has changed for a while: the old workers are gone. One of them
    may take its time on a busy machine: what is wanted is waited for."""
    last, since = None, 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            now = held(server)
        except (OSError, TypeError):  # somebody ended meanwhile
            now = None
        if now is None or now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 2 and wanted in (None, now):
            break
        time.sleep(0.1)
    return last


def restart_often(server, count, load):
    for _ in range(count):
        server.graceful()
    load.pause()


def grown(server, restarts):
    """What it holds after the first few, and after all; what each has more then of its own, in
    KiB: the master, the watcher."""
    server.expect("MaxRequestWorkers", optional=True)  # there are no more than these
    pids = [lambda: server.master_pid]
    if "oomguard" in server.own:
        pids.append(lambda: watcher(server))
    first = min(FIRST, restarts // 2)
    load = Load(server)
    try:
        restart_often(server, first, load)
        before, own = quiet(server), [anonymous_kib(pid()) for pid in pids]
        load.resume()
        restart_often(server, restarts - first, load)
        after = quiet(server, before)
    finally:
        load.stop()
    more = [anonymous_kib(pid()) - kib for pid, kib in zip(pids, own)]
    print(f"{server.own}: {restarts} restarts, {load.answers} answers, {len(load.lost)} lost; "
          f"{before}, {after}, anonymous {own} KiB, more: {more} KiB")
    return before, after, more, load.lost


def test_many_graceful_restarts(httpd, mpm, restarts):
    small = PREFORK if mpm == "prefork" else THREADED
    server = httpd(small=small)
    before, after, more, lost = grown(server, restarts)
    assert before == after and not lost
    # httpd's own heap grows as well; how much, its own restarts tell.
    allowed = 64
    if restarts >= 100:
        control = httpd(own=("oom",), small=small)
        allowed += max(0, *grown(control, restarts)[2])
    assert max(more) <= allowed, more
