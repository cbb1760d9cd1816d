# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The kernel's log, its counter and httpd's own account: what one misses the others show, and
every death is named for what it was."""
import os
import re
import signal
import time

import pytest

import httpd as harness
from test_guard import eat, eat_unwatched, told, watcher, with_cgi

COUNTER = "OOMGuardWatch counter\n"


def pids(server, tag):
    return [int(re.search(r"worker (\d+)", line.text)[1]) for line in server.errors(tag)]


def in_flight(server):
    """A request that is being served, and the worker that serves it. Nothing else is: of one
    connection the request before is over when the next one begins."""
    conn = server.connection()

    def alone():
        in_flight = [r for w in server.status(conn)["workers"] for r in w["requests"]]
        return [r["path"] for r in in_flight] == [harness.STATUS_PATH]

    server.wait_for(alone, what="the end of other requests")
    answer = server.open("/oom?size=1M&hold=60", conn=conn)
    return answer, int(re.search(rb"; pid (\d+),", answer.readline())[1])


def noted(server, key):
    """What the watcher's last note says of it."""
    notes = {}
    with open(f"{server.root}/oomguard.state") as f:
        for note in f.read().split("mod_oomguard state ")[1:]:
            notes[int(note.split()[1])] = re.search(rf"^{key} (\w+)$", note, re.M)[1]
    return notes[max(notes)]


def settled(server, pids, watch="auto"):
    """Waits until whatever could still be told of the killed would have been."""
    server.wait_for(lambda: all(server.buried(pid) for pid in pids), 60, "burials")
    if watch != "kmsg":
        server.wait_for(lambda: noted(server, "oom_kills") == str(server.cgroup.oom_kills()), 60,
                        "the account of all kills")
    time.sleep(0.8)  # the log is given half a second


# --- The counter alone.

def test_the_counter_is_enough(httpd):
    server = httpd(conf=COUNTER)
    server.expect("OG0104")
    eaters = set()
    for _ in range(5):
        eaters.add(eat(server).pid)
        server.wait_for_error("OG0104", count=len(server.kernel_kills()))
    assert pids(server, "OG0104") == [k.pid for k in server.kernel_kills()]
    for line in server.errors("OG0104"):
        assert line.level == "crit" and line.pid == watcher(server)
        assert f'memory cgroup "{server.cgroup.name}" counts an OOM kill more' in line.text
        assert "(likely: no other one did); the kernel's log is not read" in line.text
        assert ('request "GET" "/oom" vhost "localhost"' in line.text
                or int(re.search(r"worker (\d+)", line.text)[1]) not in eaters)


def test_a_helper_is_counted_and_not_known(httpd):
    server = with_cgi(httpd, COUNTER)
    server.expect("OG0105", times=1)
    server.allow("OG0104", "the kernel may kill a worker, too")
    server.allow("AH01220|AH01215|AH02550|End of script output|Killed", "of a killed script")
    server.kill_by("/cgi/eat")
    (line,) = server.wait_for_error("OG0105", timeout=10)
    assert "the kernel killed 1 process, as memory cgroup" in line.text
    assert "no worker vanished" in line.text


def test_what_the_counter_told_the_log_does_not_tell_again(httpd):
    server = httpd(conf=COUNTER)
    server.expect("OG0104")
    server.expect("OG0101")  # and what one of them has told the other does not: see _told()
    eat(server)
    server.wait_for_error("OG0104")
    server.write_conf("")
    server.graceful()
    kill = eat(server)
    assert f"worker {kill.pid} " in server.wait_for_error("OG0101")[0].text
    # Nor does the next httpd.
    server.write_conf(COUNTER)
    server.stop()
    server.start()
    server.write_conf("")
    server.stop()
    server.start()


# --- The log alone.

def test_the_log_is_enough(httpd):
    server = httpd(conf="OOMGuardWatch kmsg\n")
    server.expect("OG0101")
    for _ in range(3):
        eat(server)
    told(server)


# --- Other ends.

@pytest.mark.parametrize("watch", ["auto", "kmsg", "counter"])
def test_somebodys_sigkill(httpd, watch):
    server = httpd(conf=f"OOMGuardWatch {watch}\n")
    server.expect("OG0106", times=1)
    answer, pid = in_flight(server)
    os.kill(pid, signal.SIGKILL)
    (line,) = server.wait_for_error("OG0106")
    assert line.text.startswith(f"OG0106: worker {pid}, slot ")
    assert "vanished, and not by the OOM killer" in line.text
    assert 'request "GET" "/oom" vhost' in line.text
    answer.read()


def test_a_crash(httpd):
    server = httpd()
    server.expect("OG0108", times=1)
    server.expect("AH0005[12]", times=1)
    answer, pid = in_flight(server)
    os.kill(pid, signal.SIGABRT)
    (line,) = server.wait_for_error("OG0108")
    assert f"worker {pid}, slot" in line.text and "crashed by signal 6" in line.text
    assert 'request "GET" "/oom"' in line.text
    answer.read()


def test_httpds_own_sigkill(httpd, installation):
    server = httpd(conf=installation.load_test_module("stuck")
                   + "<Location /stuck>\nSetHandler stuck\n</Location>\n")
    server.expect("OG0107", times=1)
    server.expect("AH0004[56]")
    pid = int(server.open("/stuck", timeout=30).readline())
    server.restart()
    (line,) = server.wait_for_error("OG0107")
    assert f"httpd itself sent SIGKILL to worker {pid}, slot" in line.text
    assert 'request "GET" "/stuck"' in line.text


def test_who_leaves_is_not_spoken_of(httpd):
    """Whatever makes workers end in a way that httpd intends gives no line: the audit."""
    server = httpd()
    for _ in range(3):
        server.graceful()
    server.restart()


# --- A watcher that dies meanwhile.

def test_what_a_watcher_has_seen_is_not_forgotten(httpd):
    """Killed while nobody watched: counted once, and once only, by the next one."""
    server = httpd(conf=COUNTER)
    server.expect("OG0104")
    server.expect("OG0302", times=1)
    eat(server)
    server.wait_for_error("OG0104")
    kill = eat_unwatched(server)
    server.wait_for(lambda: kill.pid in pids(server, "OG0104"), what="its line")
    settled(server, [kill.pid])
