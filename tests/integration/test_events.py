# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Each kind of event and each role, as the history has it, and what the status has: every key of
the man page, and what it says."""
import datetime
import os
import re
import signal

import pytest

import processes
from events import END, KILL, REQUESTS, STATUS, UNATTRIBUTED, WORKER, has_shape
from shim import Shim
from test_apps import watcher_looks
from test_guard import SCORES, eat, killed_in, line_of, watcher, with_cgi
from test_history import HISTORY, event_of, history, wait_for_events, wait_for_note
from test_routes import LEAKS, mix, route, settled
from test_witnesses import COUNTER, in_flight

pytestmark = pytest.mark.any_mpm

MIB = 1 << 20


# --- Kills.

# With the id that the error log has for a request, where it says anything of one.
LOG_ID = """LogLevel authz_core:debug
ErrorLogFormat "[%{u}t] [%-m:%l] [pid %P:tid %T] %7F: %E: [client\\ %a] %M% \\ id=%L"
<Location /oom>
Require expr true
</Location>
"""


def test_a_killed_worker(httpd):
    server = httpd(conf=HISTORY + LOG_ID)
    server.expect("OG0101")
    before = datetime.datetime.now(datetime.timezone.utc)
    generation = server.status()["workers"][0]["generation"]
    kill = eat(server)
    line = line_of(server, kill)
    event = event_of(server, kill.pid, {**KILL, **WORKER})
    assert (event["event"], event["role"]) == ("kill", "worker")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
    at = datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert before <= at <= datetime.datetime.now(datetime.timezone.utc)
    assert f'worker {kill.pid} "{event["comm"]}", slot {event["slot"]}, ' in line.text
    assert event["generation"] == generation and event["in_flight"] == 1
    assert event["uid"] != 0 and event["comm"] == kill.name
    assert event["constraint"] == "CONSTRAINT_MEMCG" and event["invoked_by"] == kill.name
    assert event["oom_memcg"] == event["task_memcg"] == kill.cgroup
    assert event["total_vm_kib"] > event["anon_rss_kib"] > 64 << 10 > event["pgtables_kib"] > 0
    (request,) = event["requests"]
    assert (request["method"], request["path"], request["vhost"], request["client"],
            request["handler"]) == ("GET", "/oom", "localhost", "127.0.0.1", "oom")
    assert 0 < request["seconds"] < 60
    assert f'id "{request["log_id"]}" for ' in line.text
    assert any("AH01626" in e.text and e.text.endswith(f" id={request['log_id']}")
               for e in server.errors())
    assert event["route"]["pattern"] == "/oom" and event["route"]["kills"] == 1
    assert event["most_suspect"] is None


def test_a_killed_helper(httpd):
    """A script has the request of its daemon, and no slot."""
    server = with_cgi(httpd, HISTORY + SCORES.format(master=10, worker=20, helper=500))
    server.expect("OG0101")
    kill = eat(server, "/cgi/eat")
    event = event_of(server, kill.pid, {**KILL, **REQUESTS})
    assert (event["role"], event["oom_score_adj"]) == ("helper", 500)
    assert [r["path"] for r in event["requests"]] == ["/cgi/eat"] and event["in_flight"] == 1


def test_a_killed_master(httpd_unaudited):
    """The watcher outlives it, if only for that."""
    server = httpd_unaudited(conf=HISTORY + SCORES.format(master=1000, worker=0, helper=0))
    master = server.master_pid
    server.kill_by("/oom?kind=fork")
    server.wait_for(server._died, what="the master's end")
    event = event_of(server, master, KILL)
    assert (event["role"], event["late"]) == ("master", False)
    server.kill()


def test_a_killed_watcher(httpd):
    """The next one tells it."""
    server = httpd(start=False, conf=HISTORY + SCORES.format(master=0, worker=0, helper=0))
    Shim(server, "hurry")
    server.start()
    server.expect("OG0101")
    server.expect("OG0302", times=1)
    pid = watcher(server)
    with open(f"/proc/{pid}/oom_score_adj", "w") as f:
        f.write("1000")
    # Then the worker or its child; one that had all of it would count for as much as that score.
    server.kill_by("/oom?kind=fork")
    event = event_of(server, pid, KILL)
    assert (event["role"], event["late"]) == ("watcher", True)
    assert any(line.text.startswith(f"OG0101: the kernel killed watcher {pid} ")
               for line in server.errors("OG0101"))


def look_away(server):
    """Stops the watcher, once it has noted what the next httpd is to know."""
    wait_for_note(server)
    os.kill(watcher(server), signal.SIGSTOP)


def unseen(server):
    """Ends it so that nothing of it can tell of what the kernel has killed meanwhile, and starts
    the next one in its place."""
    server.kill()
    server.expect("OG0110", times=1)
    server.expect("AH00098", times=1)  # a PidFile is left
    server.launch()


def test_a_worker_of_the_httpd_before(httpd):
    """It is known by its cgroup, and likely what it was."""
    server = httpd(conf=HISTORY)
    server.expect("OG0101")
    server.untold = "of one without a word of its cgroup nothing is known"
    look_away(server)
    while not (kill := eat(server)).cgroup:
        pass  # the kernel does not say of each where it was
    unseen(server)
    event = event_of(server, kill.pid, KILL)
    assert (event["role"], event["late"]) == ("former", True)
    (line,) = [e for e in server.errors("OG0101") if f"killed process {kill.pid} " in e.text]
    assert line.text.endswith("; likely of the httpd before this one: it ran in the same memory "
                              "cgroup; read late, while nobody watched")


def test_the_master_of_the_httpd_before(httpd):
    """It is known for certain."""
    server = httpd(conf=HISTORY)
    server.expect("OG0101")
    server.untold = "another one may be killed for the same, without a word of its cgroup"
    look_away(server)
    master = server.master_pid
    with open(f"/proc/{master}/oom_score_adj", "w") as f:
        f.write("1000")
    server.kill_by("/oom?kind=fork")
    server.wait_for(server._died, what="the master's end")
    unseen(server)
    event = event_of(server, master, KILL)
    assert (event["role"], event["late"]) == ("master", True)
    (line,) = [e for e in server.errors("OG0101") if f"killed master {master} " in e.text]
    assert line.text.endswith("; of the httpd before this one; read late, while nobody watched")


def test_strangers_before_httpd(httpd):
    """What was killed elsewhere then is nothing of it."""
    server = httpd(conf=HISTORY, log_level="warn oomguard:info")
    other = httpd(own=(), limit_mib=24)
    server.expect("OG0110", times=1)
    server.expect("AH00098", times=1)
    look_away(server)
    stranger = killed_in(other, "tail", "/dev/zero")
    server.kill()
    server.launch()
    server.wait_for(lambda: any(f"process {stranger} " in e.text for e in server.errors("OG0103")),
                    what="the stranger")
    assert history(server) == []


# --- What the counter tells.

def test_a_counted_worker(httpd):
    server = httpd(conf=HISTORY + COUNTER)
    server.expect("OG0104")
    kill = eat(server)
    event = event_of(server, kill.pid, {**END, "vanished": int})
    assert (event["event"], event["role"]) == ("counted", "worker")
    assert event["vanished"] in (1, 2) and event["requests"][0]["path"] == "/oom"
    assert event["route"]["kills"] == 1


def test_counted_and_unattributed(httpd):
    server = with_cgi(httpd, HISTORY + COUNTER)
    server.expect("OG0105", times=1)
    server.kill_by("/cgi/eat")
    event = has_shape(wait_for_events(server, 1)[0], UNATTRIBUTED)
    assert (event["event"], event["kills"]) == ("unattributed", 1)


# --- Other ends.

def test_a_sigkill_and_a_crash(httpd):
    server = httpd(conf=HISTORY)
    server.expect("OG0106", times=1)
    server.expect("OG0108", times=1)
    server.expect("AH0005[12]", times=1)
    for sig, name, more in ((signal.SIGKILL, "sigkill", {}),
                            (signal.SIGSEGV, "crash", {"signal": int})):
        answer, pid = in_flight(server)
        os.kill(pid, sig)
        event = event_of(server, pid, {**END, **more})
        assert (event["event"], event["role"]) == (name, "worker")
        assert [r["path"] for r in event["requests"]] == ["/oom"]
        assert event["route"]["kills"] == 0 and event.get("signal", sig) == sig
        answer.read()


def test_httpds_own_sigkill(httpd, installation):
    server = httpd(conf=HISTORY + installation.load_test_module("stuck")
                   + "<Location /stuck>\nSetHandler stuck\n</Location>\n")
    server.expect("OG0107", times=1)
    server.expect("AH0004[56]")
    pid = int(server.open("/stuck").readline())
    server.restart()
    event = event_of(server, pid, END)
    assert event["event"] == "httpd-sigkill"
    assert [r["handler"] for r in event["requests"]] == ["stuck"]


# --- The status.

def one_worker(threads):
    return f"""StartServers 1
ServerLimit 1
ThreadLimit {threads}
ThreadsPerChild {threads}
MinSpareThreads 1
MaxSpareThreads {threads}
MaxRequestWorkers {threads}
"""


def test_what_the_status_has(httpd):
    """Of a worker in a request, and of an event that is some seconds ago."""
    server = httpd()
    server.expect("OG0106", times=1)
    answer, pid = in_flight(server)
    os.kill(pid, signal.SIGKILL)
    server.wait_for_error("OG0106")
    answer.read()
    answer, pid = in_flight(server)
    status = has_shape(server.status(), STATUS)
    (mine,) = [w for w in status["workers"] if w["pid"] == pid]
    anonymous = processes.proc_status(pid)["RssAnon"]
    assert MIB < anonymous < mine["anon_bytes"] + MIB < anonymous + 2 * MIB
    assert mine["in_flight"] == len(mine["requests"])
    assert [r["path"] for r in mine["requests"]].count("/oom") == 1
    assert mine["generation"] == 0 and mine["slot"] in range(12) and 0 < mine["seconds"] < 600
    (event,) = status["kills"]
    assert (event["event"], event["role"]) == ("sigkill", "worker")
    assert event["request"]["path"] == "/oom" and event["id"]
    ago = event["seconds_ago"]
    server.wait_for(lambda: server.status()["kills"][0]["seconds_ago"] > ago + 0.5, what="a while")
    assert server.status()["kills"][0]["seconds_ago"] < 600
    answer.close()


def test_another_route_is_most_suspect(httpd):
    """It leaked before, and its estimate is in the status, in the line of a kill in another route
    and in its event."""
    server = httpd(conf=LEAKS + HISTORY, small=one_worker(4))
    server.expect("OG0101")
    mix(server, 4, **{"/index.html": 1200, "/leak?size=256K&leak=1": 60})
    settled(server, "/leak", 60)
    leak = route(server, "/leak")
    assert leak["suspicion"] in ("fair", "strong"), leak
    assert 0 < leak["retained_error"] < leak["retained_each"] / 2
    assert 0 < leak["retained_of"] <= leak["requests"] == 60
    assert leak["retained_bytes"] == int(leak["retained_each"] * leak["retained_of"])
    assert 0.2 < leak["retained_share"] <= 1
    watcher_looks(server)
    kill = eat(server, "/big")
    line = line_of(server, kill)
    assert re.search(r'; its route "localhost" "oom" "/big" has had no request that ended, 1 kill; '
                     r'most suspect is "localhost" "oom" "/leak" retains \d+\.\d KiB a request '
                     r"\(\+-\d+\.\d KiB\) over \d+ requests, \d+ % of all growth, 0 kills$",
                     line.text), line.text
    event = event_of(server, kill.pid, {**KILL, **WORKER})
    assert event["route"]["pattern"] == "/big" and event["route"]["retained_each"] is None
    other = event["most_suspect"]
    assert other["pattern"] == "/leak" and other["suspicion"] in ("fair", "strong")
    assert 256 << 8 < other["retained_each"] < 256 << 12


def test_growth_that_is_negative(httpd):
    """Of a request that gives back what others were charged for while it had it."""
    server = httpd(conf=LEAKS + """LogFormat "%U %{oomguard-taken}n %{oomguard-growth}n" memory
CustomLog "memory_log" memory
""", small=one_worker(8))

    def logged(path):
        with open(f"{server.root}/memory_log") as f:
            lines = [line.split() for line in f]
        return [[int(n) for n in rest] for url, *rest in lines if url == path]

    answer = server.open("/temp?kind=mmap&size=20M&hold=600")
    for line in answer:
        if line.startswith(b"holding"):
            break
    assert server.get("/big?kind=mmap&size=24M").status == 200
    ((taken, growth),) = server.wait_for(lambda: logged("/big"), what="the one")
    assert 24 * MIB <= taken < 27 * MIB and 18 * MIB < growth < 22 * MIB
    answer.close()
    ((taken, growth),) = server.wait_for(lambda: logged("/temp"), what="the other")
    assert 20 * MIB <= taken < 23 * MIB and -22 * MIB < growth < -18 * MIB
