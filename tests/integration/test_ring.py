# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a unit hides /dev/kmsg, the kernel's log is read by syslog(2)."""
import os
import signal
import subprocess
import time

import pytest

import httpd as harness
from test_forgery import TAIL, write
from test_guard import eat, pid_in, status_of, told, watcher

CAP_SYSLOG = 1 << 34


@pytest.fixture
def hidden(httpd, installation):
    """Makes an httpd that finds something else in place of /dev/kmsg."""
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no right to make a mount namespace")

    def make(conf=""):
        server = httpd(start=False)
        server.write_conf(conf)
        return harness.start_behind(
            server, installation,
            "exec unshare -m sh -c 'mount --bind /dev/null /dev/kmsg && exec \"$0\" \"$@\"' \"$@\"")
    return make


@pytest.mark.parametrize("watch", ["auto", pytest.param("kmsg", marks=pytest.mark.any_mpm)])
def test_kills(hidden, watch):
    """With all that the log says of them, each once, whatever happens to watcher and httpd."""
    server = hidden(f"OOMGuardWatch {watch}\n")
    server.expect("OG0101")
    server.expect("OG0302", times=1)
    eaters = set()
    for n in range(4):
        eaters.add(eat(server).pid)
        if n == 1:
            told(server)
            os.kill(watcher(server), signal.SIGKILL)
        if n == 2:
            server.wait_for_error("OG0302")  # or the restart brings the next one without a word
            server.graceful()
    for line in told(server):
        assert "killed worker" in line.text and "is at its limit of" in line.text
        assert "it had anon " in line.text
        assert 'request "GET" "/oom"' in line.text or pid_in(line) not in eaters
    told_of = len(server.errors("OG0101"))
    server.stop()
    server.start()  # knows what was told
    eat(server)
    server.wait_for_error("OG0101", count=told_of + 1)


def test_it_keeps_the_one_right_it_takes(hidden):
    server = hidden()
    status = status_of(watcher(server))
    assert status["Uid"].split()[0] != "0"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == CAP_SYSLOG


@pytest.mark.any_mpm
def test_what_others_write_is_not_believed(hidden):
    server = hidden()
    (pid, *_) = server.workers()
    killed = f"Memory cgroup out of memory: Killed process {pid} (apache2){TAIL}\n"
    write(f"<3>{killed}")
    write(f"<3>two lines\n{killed}")
    server.expect("OG0101")
    # What it took for one would stand before the next real one.
    kill = eat(server)
    told(server)
    assert [line.tag for line in server.errors() if (line.tag or "").startswith("OG01")] == ["OG0101"]
    assert f"worker {kill.pid} " in server.errors("OG0101")[0].text


@pytest.mark.any_mpm
def test_from_one_way_to_the_other(httpd, hidden, installation):
    """The next httpd may read the log, and what the one before has told stays told."""
    server = hidden()
    server.expect("OG0101")
    killed = [eat(server).pid]
    told(server)
    server.stop()
    server.inst = installation
    server.start()
    killed.append(eat(server).pid)
    server.wait_for_error("OG0101", count=2)
    time.sleep(0.5)  # one too many would come now
    assert [pid_in(line) for line in server.errors("OG0101")] == killed
