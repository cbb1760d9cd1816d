# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is kept: the history, a line of JSON for each event, and the state, by which the next
httpd knows what the one before has seen."""
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections import Counter

import pytest

import httpd as harness
import killgate
import processes
from events import has_shape
from test_guard import eat, run_in, told, watcher, watchers
from test_witnesses import in_flight, noted, settled

WORKERS = 60

HISTORY = "OOMGuardHistory history\n"
JOURNAL = "OOMGuardJournal On\n"


def history(server):
    with open(f"{server.root}/history") as f:
        return [json.loads(line) for line in f]


def wait_for_events(server, count, timeout=30):
    server.wait_for(lambda: len(history(server)) >= count, timeout, f"{count} events")
    return history(server)


def recorded(server):
    """Waits until the watcher is through with all kills: the line comes first."""
    server.wait_for(lambda: int(noted(server, "events")) >= len(server.kernel_kills()),
                    what="the end of what it records")


def event_of(server, pid, shape):
    """The event of that process, once there is one. The kernel may kill another one, before the
    memory of the first is free."""
    def found():
        return [e for e in history(server) if e.get("pid") == pid]
    (event,) = server.wait_for(found, what=f"the event of {pid}")
    return has_shape(event, shape)


def wait_for_note(server, name="oomguard.state"):
    """Until the watcher has noted what the next httpd is to know of this one."""
    def noted():
        with open(f"{server.root}/{name}") as f:
            return f"master {server.master_pid}\n" in f.read()
    server.wait_for(noted, what="a note")


def takes_a_journal(server):
    """Was the module built with libsystemd?"""
    with open(f"{server.inst.build}/.libs/mod_oomguard.so", "rb") as f:
        return b"libsystemd.so" in f.read()


# --- The history.

def test_a_kill_is_an_object(httpd):
    server = httpd(conf=HISTORY)
    server.expect("OG0101")
    kill = eat(server)
    told(server)
    event = wait_for_events(server, 1)[0]
    assert (event["event"], event["role"], event["pid"]) == ("kill", "worker", kill.pid)
    assert event["killer"] == "memcg" and event["oom_score_adj"] == 200
    assert event["task_memcg"].endswith(server.cgroup.name)
    assert event["generation"] == 0 and event["in_flight"] == 1
    (request,) = event["requests"]
    assert request["path"] == "/oom" and request["method"] == "GET"
    assert request["client"] == "127.0.0.1" and 0 < request["seconds"] < 30
    assert not event["late"] and not event["again"]
    assert stat.S_IMODE(os.stat(f"{server.root}/history").st_mode) == 0o640


def test_other_events(httpd):
    server = httpd(conf=HISTORY)
    server.expect("OG0106", times=1)
    server.expect("OG0108", times=1)
    server.expect("AH0005[12]", times=1)
    for sig, count in ((signal.SIGKILL, 1), (signal.SIGABRT, 2)):
        answer, pid = in_flight(server)
        os.kill(pid, sig)
        assert wait_for_events(server, count)[-1]["pid"] == pid
        answer.read()
    sigkill, crash = history(server)
    assert sigkill["event"] == "sigkill" and sigkill["requests"][0]["path"] == "/oom"
    assert crash["event"] == "crash" and crash["signal"] == signal.SIGABRT
    assert sigkill["id"] != crash["id"]


def test_a_copy_and_a_truncation_rotate_it(httpd):
    server = httpd(conf=HISTORY)
    server.expect("OG0101")
    eat(server)
    told(server)
    recorded(server)
    os.truncate(f"{server.root}/history", 0)
    kill = eat(server)
    assert wait_for_events(server, 1)[0]["pid"] == kill.pid
    told(server)
    recorded(server)
    os.rename(f"{server.root}/history", f"{server.root}/history.1")
    server.graceful()
    kill = eat(server)
    assert wait_for_events(server, 1)[0]["pid"] == kill.pid


def test_a_full_disk(httpd):
    server = httpd(start=False)
    folder = f"{server.root}/small"
    os.mkdir(folder)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", folder]).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        server.write_conf("OOMGuardHistory small/history\n")
        server.start()
        server.expect("OG0101")
        server.expect("OG0312", times=1)
        with open(f"{folder}/history", "w") as f:
            f.write(" " * 3900 + "\n")
        for _ in range(2):
            eat(server)
            told(server)
        recorded(server)
        (line,) = server.errors("OG0312")
        assert line.level == "error"
        os.truncate(f"{folder}/history", 0)
        kill = eat(server)
        told(server)
        with open(f"{folder}/history") as f:
            assert json.loads(f.readline())["pid"] == kill.pid
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.any_mpm
@pytest.mark.parametrize("make", [lambda path: os.mkdir(path),
                                  lambda path: os.symlink("/dev/null", path)],
                         ids=["folder", "link"])
def test_a_history_that_is_no_file(httpd, make):
    server = httpd(start=False)
    make(f"{server.root}/history")
    server.write_conf(HISTORY)
    server.start()
    server.expect("OG0313", times=1)
    server.expect("OG0101")
    eat(server)
    told(server)


# --- The journal. That entries arrive is seen in the guests of tests/vm.

@pytest.mark.any_mpm
def test_no_journal_where_it_was_built_without(httpd_unaudited):
    server = httpd_unaudited(start=False, conf=JOURNAL)
    if takes_a_journal(server):
        pytest.skip("it was built with libsystemd")
    status, said = server.run("-t")
    assert status != 0 and "OOMGuardJournal: write off" in said


@pytest.mark.any_mpm
@pytest.mark.skipif(os.path.exists("/run/systemd/journal/socket"), reason="there is a journal")
def test_a_journal_that_is_not_there(httpd):
    server = httpd(start=False)
    if not takes_a_journal(server):
        pytest.skip("it was built without libsystemd")
    server.write_conf(JOURNAL + HISTORY)
    assert "journal: on" in server.run("-t", "-D", "DUMP_OOMGUARD")[1]
    server.start()
    (line,) = server.wait_for_error("OG0314")
    assert line.level == "error"
    server.expect("OG0314", times=1)
    server.expect("OG0101")
    kill = eat(server)
    told(server)
    assert wait_for_events(server, 1)[0]["pid"] == kill.pid


# --- The state.

def test_the_next_httpd_knows_of_the_one_before(httpd):
    server = httpd()
    server.stop()
    server.start()
    assert not server.errors("OG0110")
    before = server.master_pid
    server.wait_for(lambda: server.cgroup.kill_all() or not server.processes(), what="all ends")
    server.proc.wait(10)
    server.stop()
    server.expect("OG0110", times=1)
    server.expect("AH00098", times=1)  # a PidFile is left
    server.start()
    (line,) = server.errors("OG0110")
    assert f"master {before}, did not stop" in line.text


@pytest.mark.any_mpm
def test_a_damaged_state_is_passed_over(httpd):
    server = httpd()
    server.expect("OG0101")
    server.stop()
    path = f"{server.root}/oomguard.state"
    with open(path, "r+b") as f:
        text = f.read().replace(b"resume_seq", b"resume-seq")
        f.seek(0)
        f.write(text)
    server.expect("OG0311", times=1)
    server.start()
    assert "it is damaged" in server.errors("OG0311")[0].text
    server.graceful()
    eat(server)
    told(server)
    server.stop()
    server.start()


@pytest.mark.any_mpm
def test_a_state_that_somebody_else_may_write(httpd):
    server = httpd(start=False)
    with open(f"{server.root}/oomguard.state", "w"):
        pass
    os.chmod(f"{server.root}/oomguard.state", 0o666)
    server.expect("OG0311", times=1)
    server.start()
    assert "can't be opened" in server.errors("OG0311")[0].text


@pytest.mark.any_mpm
def test_no_state(httpd):
    server = httpd(conf="OOMGuardState off\n")
    assert not os.path.exists(f"{server.root}/oomguard.state")


# --- A watcher that dies over its words.

def stopped(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.any_mpm
def test_what_was_not_told_to_the_end(httpd, installation):
    """The error log takes no more, and the watcher is killed while it waits."""
    server = httpd(start=False)
    server.error_log = f"|{installation.program('rotatelogs')} {server.root}/error_log.%Y 86400"
    server.write_conf(HISTORY)
    server.start()
    server.expect("OG0106", times=1)
    server.allow("OG0302", "unless the restart is faster")
    logger = next(p.pid for p in server.children() if p.name == "rotatelogs")
    first = watcher(server)
    os.kill(logger, signal.SIGSTOP)
    server.wait_for(lambda: stopped(logger), what="a logger that reads no more")
    pipe = os.open(f"/proc/{first}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    for lot in (4096, 1):
        try:
            while True:
                os.write(pipe, b"\n" * lot)
        except BlockingIOError:
            pass
    os.close(pipe)
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    server.wait_for(lambda: noted(server, "pending_seq") != "0", what="a note before the line")
    os.kill(first, signal.SIGKILL)
    server.wait_for(lambda: processes.process(first) is None, what="its end")
    os.kill(logger, signal.SIGCONT)
    server.graceful()
    server.wait_for_error("OG0106")
    (event,) = wait_for_events(server, 1)
    assert (event["event"], event["pid"], event["again"]) == ("sigkill", victim, True)
    assert noted(server, "pending_seq") == "0"


# --- All of it at once.

def agree(server, watch):
    """Each kill is an event, and only one, whatever witnesses there are. The counter says how
    many; the log, which may have been overwritten before it was read here, too, whose."""
    count = server.cgroup.oom_kills()
    wait_for_events(server, count, timeout=300)  # a watcher's pause may be a minute
    kills = [k.pid for k in server.kernel_kills()]
    settled(server, kills, watch)
    assert server.cgroup.oom_kills() == count
    events = history(server)
    gaps = [e for e in events if e["event"] == "gap"]
    ends = [e for e in events if e["event"] != "gap"]
    assert len(ends) == count
    assert not Counter(kills) - Counter(e["pid"] for e in ends)
    assert len({e["id"] for e in events}) == len(events)
    allowed = {"counted" if watch == "counter" else "kill"}
    if gaps:  # what a busy machine has overwritten before it was read the others tell
        allowed.add("counted" if watch == "auto" else "vanished")
    assert {e["event"] for e in ends} <= allowed


def shake(server, chance, likely):
    """Perhaps the watcher is killed, or httpd restarted."""
    if chance.random() < likely and watchers(server):
        os.kill(watchers(server)[0], signal.SIGKILL)
    if chance.random() < likely:
        server.graceful(only_new=False)


def allow_storm(server):
    server.untold = "agree() compares the events"
    server.allow("OG0101", "there may be no log")
    server.allow("OG0104", "the log misses one, or is not asked")
    server.allow("OG0109", "the log alone misses one")
    server.allow("OG0302", "watchers are killed at random")
    server.allow("OG0307", "the log is overwritten before it is read")


# One witness after the other; whatever the MPM, they hear the same.
WITNESSES = ["auto", pytest.param("kmsg", marks=pytest.mark.any_mpm),
             pytest.param("counter", marks=pytest.mark.any_mpm)]


@pytest.mark.long
@pytest.mark.parametrize("watch", WITNESSES)
def test_a_storm(httpd, storm, watch):
    """Kill after kill, watchers killed and httpd restarted at random."""
    server = httpd(conf=HISTORY + f"OOMGuardWatch {watch}\n", limit_mib=48)
    allow_storm(server)
    chance = random.Random(storm)
    for _ in range(storm):
        eat(server)
        shake(server, chance, 0.05)
    assert server.cgroup.oom_kills() >= storm
    agree(server, watch)


BURST_MIB = 256
HELD_MIB = 90

# Several, for the kernel makes each of them wait a while before it kills. All hold what they
# have until the last one has enough.
EATERS = 8
EATER = f"""
import os
enough, told = os.pipe()
end, never = os.pipe()
for _ in range({EATERS}):
    if os.fork() == 0:
        os.close(never)
        eaten = [b"x" * (1 << 20) for _ in range(({BURST_MIB} - 40) // {EATERS})]
        os.write(told, b".")
        os.read(end, 1)
        os._exit(0)
os.close(told)
for _ in range({EATERS}):
    assert os.read(enough, 1)
"""


def burst(server):
    """All workers hold some memory and sleep; then others, which the kernel spares, need nearly
    all there is, and end: one worker after the other is killed for it."""
    count = WORKERS if server.mpm == "prefork" else 2 * WORKERS
    path = f"/oom?size={HELD_MIB * 1024 // count}K&hold=600"
    visits = [server.open(path, timeout=120) for _ in range(count)]
    for visit in visits:
        visit.readline()
    with killgate.flood():
        eater = run_in(server, sys.executable, "-S", "-c", EATER, score=0)
        # The log is read before it is overwritten.
        server.wait_for(lambda: server.kernel_kills() and eater.poll() is not None, 180,
                        "the eaters")
    assert eater.returncode == 0
    for visit in visits:
        visit.close()


def most_in_a_second(kills):
    return max(sum(k.usec <= other.usec < k.usec + 1000000 for other in kills) for k in kills)


@pytest.mark.long
@pytest.mark.parametrize("watch", WITNESSES)
def test_bursts(httpd, mpm, storm, watch):
    """Dozens a second, of whom most have no header in the log: the kernel prints ten in five
    seconds. Watchers killed and httpd restarted at random in between."""
    server = httpd(conf=HISTORY + f"OOMGuardWatch {watch}\nOOMGuardScore worker absolute 1000\n",
                   small=harness.many_workers(mpm, WORKERS), limit_mib=BURST_MIB)
    allow_storm(server)
    server.allow("AH00161|AH00484|AH10159", "all workers are busy")
    chance = random.Random(storm)
    while server.cgroup.oom_kills() < storm:
        server.wait_for(lambda: len(server.cgroup.procs()) > WORKERS, 180, "all workers")
        burst(server)
        shake(server, chance, 0.3)
    agree(server, watch)
    kills = server.kernel_kills()
    print(f"{len(kills)} kills, up to {most_in_a_second(kills)} in a second, "
          f"{sum(k.cgroup is None for k in kills)} without a header")
