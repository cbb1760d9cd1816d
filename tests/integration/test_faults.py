# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Faults on purpose: what the audit must see, it sees, whatever of ours is loaded."""
import os
import signal

import pytest

from test_guard import eat, watcher
from test_restarts import leaks, small


@pytest.fixture
def faulty(httpd_unaudited, installation, mpm):
    """Makes an httpd with a fault in it."""
    def make(fault, **options):
        return httpd_unaudited(conf=f"{installation.load_test_module('fault')}Fault {fault}\n",
                               **options)
    return make


@pytest.mark.parametrize("own", [(), ("oom",), ("oom", "oomguard")], ids=["none", "oom", "both"])
def test_a_crash_at_the_end_of_each_worker(faulty, own):
    server = faulty("crash", own=own)
    server.wait_for(lambda: len(server.workers()) >= 2, what="two workers")
    server.graceful()  # one crash may be httpd's own
    assert server.stop() == []
    wrong = server.audit()
    assert [w for w in wrong if "AH0005" in w], wrong
    assert bool([w for w in wrong if "OG0108" in w]) == ("oomguard" in own), wrong


def test_a_message_that_nobody_declared(faulty):
    server = faulty("message")
    assert [w for w in server.audit() if "OG0999" in w]


@pytest.mark.any_mpm
@pytest.mark.parametrize("fault, times, says", [
    ("descriptor", 4, "master_fds: "), ("memory", 40, " KiB more memory"),
    ("process", 4, "processes: ")])
def test_what_a_restart_leaves_behind(faulty, mpm, fault, times, says):
    server = faulty(fault, small=small(mpm))
    wrong = leaks(server, times)
    assert wrong and all(says in w for w in wrong), wrong
    server.patience = 2
    assert bool(server.stop()) == (fault == "process")


def test_a_kill_that_nobody_told(httpd_unaudited):
    server = httpd_unaudited()
    os.kill(watcher(server), signal.SIGSTOP)
    eat(server)
    server.patience = 2
    assert any(w.startswith("0 kills told, ") for w in server.stop())

