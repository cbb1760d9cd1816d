# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Entries for systemd's journal, as something that listens in its place gets them. That the real
one keeps them is seen in the guests of tests/vm."""
import os
import signal
import socket

import pytest

import httpd as harness
from events import KILL, REQUEST, WORKER
from test_events import LOG_ID
from test_guard import eat, told, watcher
from test_history import HISTORY, JOURNAL, history, takes_a_journal, wait_for_events
from test_messages import kill_a_worker
from test_witnesses import noted

pytestmark = pytest.mark.any_mpm

# As the man page has them; tests/lint holds it against the source.
MESSAGE_IDS = {"kill": "7db0fa0e2c3d4120b8ae6d97af3fad9a",
               "sigkill": "6629ff3b9ffc4643a9ce5e96c4b9cb1a",
               "start": "e75b624468fb44a196b287a1b8507ba9"}


# Of each request, with an id for what the error log says of it.
OF_A_REQUEST = ("OOMGUARD_METHOD", "OOMGUARD_PATH", "OOMGUARD_VHOST", "OOMGUARD_CLIENT",
                "OOMGUARD_HANDLER", "OOMGUARD_LOG_ID", "OOMGUARD_SECONDS", "OOMGUARD_TAKEN_BYTES")


class Journal:
    """A folder for /run/systemd/journal, with a socket in it, if it is open."""

    def __init__(self, server):
        self.folder = f"{server.root}/journal"
        os.mkdir(self.folder)
        self._socket = None

    def open(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"{self.folder}/socket")
        os.chmod(f"{self.folder}/socket", 0o666)
        self._socket.settimeout(30)

    def close(self):
        os.unlink(f"{self.folder}/socket")
        self._socket.close()

    def entry(self):
        """The next one: {field: [value, ...]}."""
        fields = {}
        for line in self._socket.recv(1 << 20).decode().splitlines():
            name, _, value = line.partition("=")
            fields.setdefault(name, []).append(value)
        return fields


@pytest.fixture
def journalled(httpd):
    """Makes an httpd with such a journal, open or not: (httpd, journal)."""
    journals = []

    def make(conf="", is_open=True):
        server = httpd(start=False, conf=JOURNAL + HISTORY + conf)
        if not takes_a_journal(server):
            pytest.skip("it was built without libsystemd")
        journals.append(Journal(server))
        if is_open:
            journals[0].open()
        harness.start_behind(
            server, server.inst, "exec unshare -m sh -c 'mount -t tmpfs none /run && mkdir -p "
            f"/run/systemd/journal && mount --bind {journals[0].folder} /run/systemd/journal "
            '&& exec "$0" "$@"\' "$@"')
        return server, journals[0]

    yield make
    for journal in journals:
        if journal._socket is not None:
            journal._socket.close()


def test_an_entry_of_a_kill(journalled):
    """Its fields are the keys of the event in the history, but for what is null, false or of
    routes."""
    server, journal = journalled()
    server.expect("OG0101")
    assert journal.entry() == {
        "MESSAGE": [f"the watcher of httpd {server.master_pid} has begun"], "PRIORITY": ["6"],
        "SYSLOG_IDENTIFIER": ["oomguard"], "MESSAGE_ID": [MESSAGE_IDS["start"]],
        "OOMGUARD_EVENT": ["start"]}
    eat(server)
    entry = journal.entry()
    assert entry["MESSAGE"][0] in [line.text for line in told(server)]
    (event,) = [e for e in history(server) if e["id"] == entry["OOMGUARD_ID"][0]]
    del entry["MESSAGE"]
    assert entry.pop("PRIORITY") == ["2"]
    assert entry.pop("SYSLOG_IDENTIFIER") == ["oomguard"]
    assert entry.pop("MESSAGE_ID") == [MESSAGE_IDS["kill"]]
    (request,) = event.pop("requests")
    del event["route"], event["most_suspect"]
    said = {key: f"{value:.3f}" if isinstance(value, float) else str(value)
            for key, value in {**event, **request}.items() if value is not None}
    wanted = {f"OOMGUARD_{key.upper()}": [value] for key, value in said.items()
              if value != "False"}
    assert entry == wanted
    assert set(wanted) <= {f"OOMGUARD_{key.upper()}" for key in (*KILL, *WORKER, *REQUEST)}


def test_an_entry_of_several_requests(journalled):
    """Each has its fields; which belong together, the journal does not say."""
    server, journal = journalled(LOG_ID)
    server.expect("OG0106", times=1)
    journal.entry()
    answers = []

    def several():
        """A worker that is in some, of which all is known, and in no other."""
        for worker in server.status()["workers"]:
            if (worker["in_flight"] > 1 and len(worker["requests"]) == worker["in_flight"]
                    and all(r["path"] == "/oom" and r["taken_bytes"] for r in worker["requests"])):
                return worker["pid"]
        return None

    while len(answers) < 4:
        answers.append(server.open("/oom?size=1M&hold=60"))
        assert answers[-1].readline()
    pid = server.wait_for(several, what="a worker in several requests")
    os.kill(pid, signal.SIGKILL)
    entry = journal.entry()
    assert entry["PRIORITY"] == ["4"] and entry["MESSAGE_ID"] == [MESSAGE_IDS["sigkill"]]
    assert entry["OOMGUARD_PID"] == [str(pid)]
    n = int(entry["OOMGUARD_IN_FLIGHT"][0])
    for field in OF_A_REQUEST:
        assert len(entry[field]) == n, (field, entry)
    assert entry["OOMGUARD_PATH"] == n * ["/oom"]
    for answer in answers:
        answer.close()


def test_a_journal_that_comes_and_goes(journalled):
    """Said by a watcher that begins, once until it works, and then anew."""
    server, journal = journalled(is_open=False)
    server.expect("OG0314", times=2)
    server.expect("OG0106", times=4)
    (line,) = server.wait_for_error("OG0314")
    assert line.level == "error" and "/run/systemd/journal/socket" in line.text
    watcher(server)

    def one_more(n):
        kill_a_worker(server)
        server.wait_for_error("OG0106", count=n)
        server.wait_for(lambda: noted(server, "pending_seq") == "0", what="the end of it")

    one_more(1)
    journal.open()
    one_more(2)
    assert journal.entry()["OOMGUARD_EVENT"] == ["sigkill"]
    assert len(server.errors("OG0314")) == 1
    journal.close()
    one_more(3)
    one_more(4)
    assert len(wait_for_events(server, 4)) == 4
