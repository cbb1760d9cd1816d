# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Messages of what goes wrong with the guard itself: that they come, at which level and how often,
and that httpd goes on."""
import os
import re
import signal
import time

import pytest

import cgroup
import httpd as harness
import processes
from events import END, GAP, has_shape
from shim import Shim
from test_forgery import write
from test_guard import SCORES, eat, told, watcher, watchers
from test_history import HISTORY, event_of, history
from test_witnesses import noted

pytestmark = pytest.mark.any_mpm

INFO = "warn oomguard:info"


@pytest.fixture
def shimmed(httpd):
    """Makes an httpd with faults (see shim.c) from the start on: it, and their switches. clock:
    where that stands still."""
    def make(conf, *switches, clock=None, **options):
        server = httpd(start=False, conf=conf, **options)
        shim = Shim(server, *switches)
        if clock is not None:
            shim.set_clock(clock)
        server.start()
        return server, shim
    return make


def start_after(server, commands):
    """Starts it in a mount namespace of its own, behind these commands."""
    return harness.start_behind(server, server.inst, f"exec unshare -m sh -c '{commands} && "
                                'exec "$0" "$@"\' "$@"')


def line_of(server, tag, pid):
    """The line about that worker, as soon as it is there. The kernel may kill another one, before
    the memory of the first is free."""
    def found():
        return [line for line in server.errors(tag) if f"worker {pid}, slot " in line.text]
    return server.wait_for(found, what=f"{tag} of {pid}")[0]


def kill_a_worker(server):
    """Its pid. httpd has others."""
    server.spare_worker()
    pid = server.workers()[0]
    os.kill(pid, signal.SIGKILL)
    return pid


# --- The watcher's life.

def test_a_watcher_that_begins(httpd):
    server = httpd(log_level=INFO)
    server.expect("OG0304", times=1)
    (line,) = server.errors("OG0304")
    assert line.level == "info" and line.text == f"OG0304: watcher {watcher(server)} has begun"


def test_no_room_for_a_watcher(shimmed):
    """The next try comes in a minute, and not earlier; httpd goes on."""
    now = time.monotonic()
    server, shim = shimmed("", "fork", "hurry", clock=now)
    server.expect("OG0303", times=1)
    (line,) = server.errors("OG0303")
    assert line.level == "error" and "Resource temporarily unavailable" in line.text
    shim.off("fork")
    shim.set_clock(now + 60)
    shim.looks_around()
    assert watchers(server) == [] and server.get().status == 200
    shim.set_clock(now + 64)
    watcher(server)


# Seconds between one that lived for less than five and the next one.
PAUSES = (1, 2, 4, 8, 16, 32, 64, 64)


def test_the_pause_grows_to_a_minute(shimmed):
    now = time.monotonic()
    server, shim = shimmed("", "setuid", "hurry", clock=now, log_level=INFO)

    def begun():
        return len(server.errors("OG0304"))

    def one_more(n, what):
        line = server.wait_for_error("OG0302", count=n)[n - 1]
        assert f"the next one starts {what}" in line.text and (begun() == n or what == "now")

    server.expect("OG0306", times=len(PAUSES))
    server.expect("OG0302", times=len(PAUSES) + 2)
    server.expect("OG0304", times=len(PAUSES) + 3)
    for n, pause in enumerate(PAUSES, 1):
        one_more(n, "after a pause")
        if n == len(PAUSES):
            shim.off("setuid")
        shim.set_clock(now + pause - 0.001)
        shim.looks_around()
        assert begun() == n
        now += pause
        shim.set_clock(now)
    # It lives for five seconds, or does not.
    for lives, what in ((4.999, "after a pause"), (5, "now")):
        pid = watcher(server)
        now += lives
        shim.set_clock(now)
        os.kill(pid, signal.SIGKILL)
        n += 1
        one_more(n, what)
        if what == "now":
            server.wait_for_error("OG0304", count=n + 1)
        else:
            now += pause
            shim.set_clock(now)


@pytest.mark.parametrize("watch, tag", [("auto", "OG0101"), ("kmsg", "OG0101"),
                                        ("counter", "OG0104")])
def test_a_kill_before_the_watcher_looks(shimmed, watch, tag):
    """It is behind, and told what it missed."""
    server, _ = shimmed(f"OOMGuardWatch {watch}\n", "late")
    server.expect(tag)
    kill = eat(server)
    server.wait_for(lambda: not os.path.exists(f"/proc/{kill.pid}"), what="its burial")
    (late,) = [p.pid for p in server.children() if p.name == "oomguard"]
    os.kill(late, signal.SIGCONT)

    def found():
        return [line for line in server.errors(tag) if f"killed worker {kill.pid}" in line.text]

    (line,) = server.wait_for(found, what="the kill")
    assert '"GET" "/oom"' in line.text


@pytest.mark.parametrize("fault, tag, says", [
    ("setuid", "OG0306", r"the watcher can't become user \d+, group \d+$"),
    ("capset", "OG0309", "the watcher can't give up its capabilities$")])
def test_rights_that_stay(shimmed, fault, tag, says):
    """Who would have them does not start; the next one may, and tells what was missed."""
    server, shim = shimmed("", fault, "hurry")
    server.expect(tag)
    server.expect("OG0302")
    server.expect("OG0101")
    assert "(status or signal 1)" in server.wait_for_error("OG0302")[0].text
    line = server.errors(tag)[0]
    assert line.level == "error"
    assert re.search(r"^\(1\)Operation not permitted: .*" + says, line.text)
    eat(server)
    shim.off(fault)
    assert told(server, timeout=90)[0].text.endswith("; read late, while nobody watched")


def test_a_log_that_fails(shimmed):
    """The watcher ends over a kill, and the next one tells it."""
    server, shim = shimmed("", "hurry")
    server.expect("OG0308", times=1)
    server.expect("OG0302", times=1)
    server.expect("OG0101")
    shim.on("log-fails")
    eat(server)
    (line,) = server.wait_for_error("OG0308")
    assert line.level == "error" and "Input/output error" in line.text
    told(server, timeout=90)


# --- Scores.

def complaints(server, who):
    return [line for line in server.errors("OG0202")
            if f"could not set oom_score_adj of {who}" in line.text]


def test_scores_where_proc_is_read_only(httpd):
    """As in some containers: each that could not be set is told."""
    server = httpd(start=False, conf=SCORES.format(master=50, worker=300, helper=100))
    server.expect("OG0202")
    start_after(server, "mount -o remount,bind,ro /proc")
    (line,) = complaints(server, "the master to 50")
    assert line.level == "warn" and "Read-only file system" in line.text
    for line in server.wait_for(lambda: complaints(server, "a worker to 300"), what="a worker's"):
        assert line.level == "warn" and "Read-only file system" in line.text
    assert server.get().status == 200


def test_scores_that_the_kernel_does_not_keep(shimmed):
    server, _ = shimmed(SCORES.format(master=50, worker=300, helper=100), "score")
    server.expect("OG0202")
    for who in ("the master to 50", "a worker to 300"):
        for line in server.wait_for(lambda: complaints(server, who), what=who):
            assert line.level == "warn" and line.text.endswith(": the kernel kept another value")


def test_no_right_to_lower_one(httpd):
    """Said once. The others are set."""
    server = httpd(start=False)
    harness.start_behind(server, server.inst, "exec setpriv --bounding-set -sys_resource "
                         '--inh-caps -sys_resource "$@"')
    server.expect("OG0201", times=1)
    (line,) = server.wait_for_error("OG0201")
    assert line.level == "notice" and "It takes CAP_SYS_RESOURCE; or let systemd" in line.text
    server.graceful()
    server.graceful()
    base = processes.oom_score_adj(os.getpid())
    assert server.oom_score_adj() == base
    assert {server.oom_score_adj(pid) for pid in server.workers()} == {base + 200}


# --- Witnesses that are not there. Who names them is told at level error.

def without_counters():
    """Commands by which nothing counts kills."""
    _, root = cgroup.find_root()
    return f"mount -t tmpfs none {root} && mount --bind /dev/null /proc/vmstat"


@pytest.mark.parametrize("watch, level", [("auto", "notice"), ("kmsg counter", "error"),
                                          ("counter", "error")])
def test_nothing_counts(httpd, watch, level):
    """Said once; the log, if it is asked, is enough."""
    server = httpd(start=False, conf=f"OOMGuardWatch {watch}\n")
    start_after(server, without_counters())
    server.expect("OG0310", times=1)
    (line,) = server.wait_for_error("OG0310")
    assert line.level == level
    server.graceful()
    if watch != "counter":
        server.expect("OG0101")
        eat(server)
        told(server)


@pytest.mark.parametrize("watch, level", [("auto", "notice"), ("kmsg counter", "error"),
                                          ("kmsg", "error")])
def test_no_log(shimmed, watch, level):
    """Said once; the counter, if it is asked, is enough, and else there is no watcher."""
    server, _ = shimmed(f"OOMGuardWatch {watch}\n", "no-log")
    server.expect("OG0301", times=1)
    (line,) = server.errors("OG0301")
    assert line.level == level and "CAP_SYSLOG" in line.text
    server.graceful()
    assert (watchers(server) == []) == (watch == "kmsg")
    if watch != "kmsg":
        server.expect("OG0104")
        line_of(server, "OG0104", eat(server).pid)


def test_neither_log_nor_counter(shimmed):
    """Whether the OOM killer took a worker can't be said then."""
    server, _ = shimmed(HISTORY, "no-log", "no-counter")
    server.expect("OG0301", times=1)
    server.expect("OG0310", times=1)
    server.expect("OG0109")
    server.untold = "there is no witness"
    server.wait_for_error("OG0310")
    killed = eat(server).pid
    assert '"GET" "/oom"' in line_of(server, "OG0109", killed).text
    for pid in (killed, kill_a_worker(server)):
        line = line_of(server, "OG0109", pid)
        assert line.level == "warn"
        assert ("vanished, and whether by the OOM killer can't be said: neither the kernel's log "
                "nor its counter can be read") in line.text
        assert event_of(server, pid, END)["event"] == "vanished"


def test_a_pid_namespace(httpd):
    """The log has other pids. Said once; the counter and httpd's account are enough."""
    server = httpd(start=False)
    harness.start_behind(server, server.inst, 'exec unshare -p --fork --mount-proc "$@"')
    server.expect("OG0305", times=1)
    server.expect("OG0104")
    (server.master_pid,) = [p.pid for p in server.children()]
    server.graceful()
    (line,) = server.errors("OG0305")
    assert line.level == "notice" and '"OOMGuardWatch counter" silences this' in line.text
    eat(server)

    def found():
        return [line for line in server.errors("OG0104") if '"GET" "/oom"' in line.text]

    line = server.wait_for(found, what="the kill")[0]
    assert "the kernel's log is not read" in line.text


# --- Records that are lost.

def lose(server, shim):
    """A kill of which the log's record is overwritten before the watcher has read it."""
    server.spare_worker()
    pid = watcher(server)
    os.kill(pid, signal.SIGSTOP)
    kill = eat(server)
    write("<6>the record behind those that are lost\n")  # or it waits for its end
    shim.on("log-loses")
    os.kill(pid, signal.SIGCONT)
    return kill


def gap(server):
    """What is told of the loss, as soon as it is: its line, and its event."""
    (line,) = server.wait_for_error("OG0307")

    def found():
        return [e for e in history(server) if e["event"] == "gap"]

    return line, has_shape(server.wait_for(found, what="the gap")[0], GAP)


def test_a_kill_among_lost_records(shimmed):
    """The counter and httpd know of it."""
    server, shim = shimmed(HISTORY)
    server.expect("OG0104")
    server.expect("OG0307", times=1)
    kill = lose(server, shim)
    line = line_of(server, "OG0104", kill.pid)
    assert "; the kernel's log lost records then" in line.text and '"GET" "/oom"' in line.text
    assert event_of(server, kill.pid, {**END, "vanished": int})["event"] == "counted"
    line, event = gap(server)
    assert line.level == "warn"
    said = re.match(r"OG0307: (\d+) records of the kernel's log were overwritten before they could "
                    r'be read; memory cgroup "(.*)" counts (\d+) OOM kills? among them$', line.text)
    assert int(said[1]) > 0 and said[2] == server.cgroup.name and int(said[3]) > 0
    assert (event["records"], event["kills"]) == (int(said[1]), int(said[3]))


def test_a_kill_among_lost_records_that_nothing_counts(shimmed):
    server, shim = shimmed(HISTORY + "OOMGuardWatch kmsg\n")
    server.expect("OG0109")
    server.expect("OG0307", times=1)
    server.untold = "the only witness missed it"
    kill = lose(server, shim)
    line = line_of(server, "OG0109", kill.pid)
    assert '"GET" "/oom"' in line.text
    assert "the kernel's log lost records then, and nothing counts kills" in line.text
    assert event_of(server, kill.pid, END)["event"] == "vanished"
    line, event = gap(server)
    assert line.text.endswith("; a kill among them has no line")
    assert event["records"] > 0 and event["kills"] is None


# --- Nothing of it.

def test_unguarded(shimmed):
    """No shared memory: httpd serves and replaces killed workers, and nothing is told or set."""
    server, _ = shimmed(SCORES.format(master=50, worker=300, helper=100), "memory")
    server.expect("OG0401")
    server.expect("OG0403", times=1)
    (line,) = server.errors("OG0401")
    assert line.level == "error" and "Cannot allocate memory" in line.text
    assert "httpd runs unguarded" in line.text
    base = processes.oom_score_adj(os.getpid())
    assert watchers(server) == []
    assert {server.oom_score_adj(p.pid) for p in server.processes()} == {base}
    eat(server)
    server.graceful()
    assert server.get().status == 200 and watchers(server) == []
    assert server.get(harness.STATUS_PATH).status == 503


# --- Where events are written besides.

def test_a_history_that_fails_again(shimmed):
    """Said once until it works, and then anew."""
    server, shim = shimmed(HISTORY)
    server.expect("OG0106", times=5)
    server.expect("OG0312", times=2)
    told_of = 0
    for fails, complaints in ((True, 1), (True, 1), (False, 1), (True, 2), (True, 2)):
        if fails != shim.is_on("history"):
            (shim.on if fails else shim.off)("history")
        kill_a_worker(server)
        told_of += 1
        server.wait_for_error("OG0106", count=told_of)
        server.wait_for(lambda: noted(server, "pending_seq") == "0", what="the end of it")
        assert len(server.errors("OG0312")) == complaints
        assert "No space left on device" in server.errors("OG0312")[-1].text
    (event,) = history(server)
    assert event["event"] == "sigkill"
