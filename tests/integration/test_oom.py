# Licensed under the Apache License, Version 2.0; see LICENSE.
"""mod_oom: each kind really does what it says, and every query gets its answer."""
import json
import os
import re
import resource
import signal
import socket
import time

import pytest

import processes

MIB = 1 << 20
JSON = {"Accept": "application/json"}

# What grows by the size, as the kernel tells it.
KINDS = {
    "anon": lambda s, pid: processes.proc_status(pid)["RssAnon"],
    "mmap": lambda s, pid: processes.proc_status(pid)["RssAnon"],
    "shm": lambda s, pid: processes.proc_status(pid)["RssShmem"],
    "file": lambda s, pid: s.cgroup.file(),
    "mlock": lambda s, pid: processes.proc_status(pid)["VmLck"],
    "thread": lambda s, pid: processes.proc_status(pid)["RssAnon"],
    "fork": lambda s, pid: s.cgroup.anon() // 2,
    "reserve": lambda s, pid: processes.proc_status(pid)["VmSize"],
}


def only_oom(httpd, mpm, **options):
    """One worker, so that it is the one that is looked at."""
    small = {"prefork": "StartServers 1\nServerLimit 1\nMaxRequestWorkers 1\n"}.get(
        mpm, "StartServers 1\nServerLimit 1\nThreadLimit 8\nThreadsPerChild 8\n"
             "MinSpareThreads 1\nMaxSpareThreads 8\nMaxRequestWorkers 8\n")
    server = httpd(own=("oom",), small=small, **options)
    server.allow("AH00161", "the only worker is busy", mpm=("prefork",))
    return server


def until(answer, state):
    """Reads lines up to the first in that state: (the first line, that line)."""
    first = None
    for raw in answer:
        line = json.loads(raw)
        first = first or line
        if line["state"] == state:
            return first, line
    raise AssertionError(f"no line says {state}: {answer.text}")


def lines(server, query, **options):
    answer = server.get(f"/oom?{query}", headers=JSON, timeout=30, **options)
    assert (answer.status, answer.error) == (200, None), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def limited(server, what, limit):
    """Lets new workers start with a lower limit."""
    resource.prlimit(server.master_pid, what, (limit, limit))
    server.graceful()


# --- Eating.

def test_without_a_query_it_ends_in_a_kill(httpd, mpm):
    server = only_oom(httpd, mpm)
    master = server.master_pid
    answer = server.kill_by()
    assert answer.status == 200 and answer.error is not None
    first, *rest = answer.text.splitlines()
    (kill,) = server.wait_for(server.kernel_kills, what="the kernel's record")
    assert re.match(rf"plan: kind anon, size unlimited, .*pid {kill.pid}, "
                    r"limit in force 128\.0 MiB", first), first
    step = re.compile(r"allocated (\d+\.\d) MiB, rss \d+\.\d MiB, "
                      r"cgroup \d+\.\d MiB of 128\.0 MiB, \d+\.\d{3} s$")
    grown = [float(step.match(line)[1]) for line in rest]
    assert len(grown) >= 24 and grown == sorted(set(grown)) and 96 <= grown[-1] <= 128
    assert server.cgroup.oom_kills() == 1
    assert server.get().status == 200
    assert processes.process(master) is not None and kill.pid not in server.workers()


@pytest.mark.parametrize("kind", ["anon", "mmap", "shm", "thread"])
def test_what_ends_in_a_kill(httpd, mpm, kind):
    server = only_oom(httpd, mpm)
    assert server.kill_by(f"/oom?kind={kind}").error is not None
    assert server.cgroup.oom_kills() == 1
    assert server.get().status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_what_it_says(httpd, mpm, kind):
    server = only_oom(httpd, mpm)
    size = (4 if kind == "mlock" else 32) * MIB
    seen, slack = KINDS[kind], size // 8
    lines(server, f"kind={kind}&size=1M")  # whatever is allocated only once
    (worker,) = server.workers()
    before = seen(server, worker)
    threads = len(os.listdir(f"/proc/{worker}/task"))
    answer = server.open(f"/oom?kind={kind}&size={size}&hold=30", headers=JSON)
    first, held = until(answer, "holding")
    assert first["state"] == "plan" and first["pid"] == worker and first["kind"] == kind
    assert first["size_bytes"] == size and first["limit_bytes"] == 128 * MIB
    assert held["allocated_bytes"] == (2 if kind == "fork" else 1) * size
    assert abs(seen(server, worker) - before - size) <= slack
    if kind == "reserve":
        assert processes.proc_status(worker)["RssAnon"] < 16 * MIB
    elif kind == "thread":
        assert len(os.listdir(f"/proc/{worker}/task")) == threads + 32
    elif kind == "fork":
        assert [p.name for p in server.processes() if p.ppid == worker] != []
    # The client goes in the middle of it, and the memory with it.
    answer.close()
    server.wait_for(lambda: abs(seen(server, worker) - before) <= slack, what="memory")
    assert server.workers() == [worker]
    assert [p for p in server.processes() if p.ppid == worker] == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_given_back(httpd, mpm, kind):
    server = only_oom(httpd, mpm)
    size = (4 if kind == "mlock" else 24) * MIB
    lines(server, f"kind={kind}&size=1M")
    (worker,) = server.workers()
    before = KINDS[kind](server, worker)
    last = lines(server, f"kind={kind}&size={size}&repeat=3")[-1]
    assert (last["state"], last["cycle"], last["leak"]) == ("given_back", 3, False)
    assert last["allocated_bytes"] == (2 if kind == "fork" else 1) * size
    seen = KINDS[kind]
    server.wait_for(lambda: seen(server, worker) - before < size // 8, what="memory")
    assert server.workers() == [worker] and server.cgroup.oom_kills() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_leak_stays(httpd, mpm, kind):
    server = only_oom(httpd, mpm)
    size = (2 if kind == "mlock" else 8) * MIB
    lines(server, f"kind={kind}&size=1M")
    (worker,) = server.workers()
    before = KINDS[kind](server, worker)
    last = lines(server, f"kind={kind}&size={size}&leak=1&repeat=2")[-1]
    assert (last["state"], last["leak"]) == ("kept", True)
    time.sleep(0.3)
    assert KINDS[kind](server, worker) - before >= 2 * size * 7 // 8
    os.kill(worker, signal.SIGKILL)
    server.wait_for(lambda: server.workers() not in ([], [worker]), what="a new worker")
    server.wait_for(lambda: server.cgroup.anon() < 24 * MIB, what="the memory")


def test_page_cache_is_given_back_under_pressure(httpd, mpm):
    server = only_oom(httpd, mpm)
    answer = server.get("/oom?kind=file", headers=JSON, timeout=60)
    last = json.loads(answer.text.splitlines()[-1])
    assert (last["state"], last["allocated_bytes"]) == ("given_back", 256 * MIB)
    assert server.cgroup.oom_kills() == 0


@pytest.mark.any_mpm
def test_reserving_costs_nothing(httpd, mpm):
    server = only_oom(httpd, mpm)
    last = lines(server, "kind=reserve&size=64G")[-1] if overcommits() else None
    if last is None:
        pytest.skip("vm.overcommit_memory=2")
    assert (last["state"], last["allocated_bytes"]) == ("given_back", 64 << 30)
    assert server.cgroup.oom_kills() == 0


def overcommits():
    with open("/proc/sys/vm/overcommit_memory") as f:
        return f.read().strip() != "2"


def test_a_copy_too_many_ends_in_a_kill(httpd, mpm):
    server = only_oom(httpd, mpm)
    answer = server.kill_by("/oom?kind=fork", headers=JSON)
    kills = server.wait_for(server.kernel_kills, what="the kernel's record")
    said = [json.loads(line) for line in answer.text.splitlines()]
    # Worker and child are of a size: it may be either, and now and then it is both.
    if said[0]["pid"] in [kill.pid for kill in kills]:
        assert answer.error is not None
    else:
        assert (said[-1]["state"], said[-1]["signal"]) == ("child_killed", 9)
    server.wait_for(lambda: server.get().status == 200, what="an answer")


def test_a_rate_is_kept(httpd, mpm):
    """Never faster: at no time has it more than the rate allows, but for a step."""
    server = only_oom(httpd, mpm)
    start = time.monotonic()
    said = lines(server, "size=8M&rate=8M&hold=0.5")
    took = time.monotonic() - start
    assert 1.4 <= said[-1]["elapsed_seconds"] <= took
    grown = [line for line in said if line["state"] == "growing"]
    assert len(grown) >= 4 and grown[-1]["allocated_bytes"] == 8 * MIB
    for line in grown:
        assert line["allocated_bytes"] <= (line["elapsed_seconds"] * 8 + 2) * MIB


def test_lines_come_as_it_grows(httpd, mpm):
    """Not all at the end, nor compressed, even where everything else is."""
    server = only_oom(httpd, mpm, modules=("filter", "deflate"),
                      conf="SetOutputFilter DEFLATE\n")
    # Whatever keeps lines back keeps them for 100 s, or until this gives up.
    answer = server.open("/oom?size=100M&rate=1M", headers={**JSON, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    said = [json.loads(next(iter(answer))) for _ in range(4)]
    assert [line["state"] for line in said] == ["plan"] + 3 * ["growing"]
    answer.close()


# --- Ending early.

def test_a_server_that_stops_need_not_wait(httpd, mpm):
    server = only_oom(httpd, mpm)
    answer = server.open("/oom?size=4M&hold=600", headers=JSON)
    until(answer, "holding")
    server.send(signal.SIGUSR1)
    answer.conn.sock and answer.conn.sock.settimeout(15)
    end = [json.loads(raw) for raw in answer][-1]
    assert end["state"] == "server_stopping"
    server.wait_for(lambda: server.get().status == 200, what="an answer")


def test_a_killed_child_is_told_of(httpd, mpm):
    server = only_oom(httpd, mpm)
    answer = server.open("/oom?kind=fork&size=4M&hold=30", headers=JSON)
    first, _ = until(answer, "holding")
    (child,) = [p.pid for p in server.processes() if p.ppid == first["pid"]]
    os.kill(child, signal.SIGKILL)
    end = [json.loads(raw) for raw in answer][-1]
    assert (end["state"], end["signal"]) == ("child_killed", 9)


def test_a_copy_does_not_outlive_its_worker(httpd, mpm):
    server = only_oom(httpd, mpm)
    first = lines(server, "kind=fork&size=4M&leak=1")[0]
    (child,) = [p.pid for p in server.processes() if p.ppid == first["pid"]]
    assert os.listdir(f"/proc/{child}/fd") == []
    os.kill(first["pid"], signal.SIGKILL)
    server.wait_for(lambda: processes.process(child) is None, what="the end of the child")


# --- Refused.

@pytest.mark.parametrize("kind", ["anon", "mmap", "shm", "thread", "fork", "reserve"])
def test_no_address_space_is_answered(httpd, mpm, kind):
    """malloc reserves 64 MiB for a thread when it pleases: hence the wide bounds."""
    server = only_oom(httpd, mpm, limit_mib=256)
    (worker,) = server.workers()
    limited(server, resource.RLIMIT_AS,
            processes.proc_status(worker)["VmSize"] + 24 * MIB)
    last = lines(server, f"kind={kind}&size=1G")[-1]
    assert last["state"] == "refused" and "annot allocate memory" in last["error"]
    assert last["refused"] in ("malloc", "mmap") and last["leak"] is False
    assert 8 * MIB <= last["allocated_bytes"] <= 200 * MIB
    # The same worker goes on, and has its memory back.
    assert lines(server, "size=4M")[0]["pid"] == lines(server, "size=4M")[0]["pid"]
    assert lines(server, f"kind={kind}&size=1M")[-1]["state"] == "given_back"


def test_no_locked_memory_is_answered(httpd, mpm):
    server = only_oom(httpd, mpm)
    limited(server, resource.RLIMIT_MEMLOCK, 2 * MIB)
    text = server.get("/oom?kind=mlock&size=16M").text.splitlines()[-1]
    assert text.startswith("refused: mlock (ulimit -l): Cannot allocate memory: 2.0 MiB ")
    assert server.get().status == 200


# --- The query, the method, the cap.

@pytest.mark.parametrize("query,words", [
    ("size=-1", ('"size"', '"-1"', "K, M, G or T")),
    ("size=1M&size=2M", ('"size"', '"2M"', "once")),
    ("size=99999999999999999999", ('"size"', '"99999999999999999999"', "bytes")),
    ("rate=50%", ('"rate"', '"50%"', "a second")),
    ("hold=long", ('"hold"', '"long"', "seconds")),
    ("kind=heap", ('"kind"', '"heap"', "mlock")),
    ("leak=maybe", ('"leak"', '"maybe"', "0 ")),
    ("repeat=0", ('"repeat"', '"0"', "1 to 1000000")),
    ("colour=red%0d%0aX:%20y", ('"colour"', r'"red\x0d\x0aX: y"', "size, rate, hold")),
])
def test_a_bad_query_is_told_what_is_allowed(httpd, mpm, query, words):
    server = only_oom(httpd, mpm)
    answer = server.get(f"/oom?{query}", headers=JSON)
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.count("\n") == 1 and answer.text.endswith(".\n")
    assert all(word in answer.text for word in words), answer.text
    assert server.get(f"/oom?{query}", method="HEAD").status == 400


def test_methods(httpd, mpm):
    server = only_oom(httpd, mpm)
    (worker,) = server.workers()
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = server.get("/oom?size=1M", method=method)
        assert answer.status == 405
        assert {"GET", "HEAD"} <= set(re.split(r",\s*", answer.headers["allow"]))
    head = server.get("/oom", method="HEAD")  # GET would be the worker's end
    assert (head.status, head.body) == (200, b"")
    whole = server.get("/oom?size=1M")
    for name in ("content-type", "cache-control", "x-content-type-options", "vary"):
        assert head.headers[name] == whole.headers[name]
    assert whole.headers["cache-control"] == "no-store"
    assert whole.headers["content-type"].startswith("text/plain")
    assert server.workers() == [worker]


@pytest.mark.parametrize("accept,json_wanted", [
    ("application/json", True), ("text/html, Application/JSON;q=0.5", True),
    ("application/x-ndjson", True), ("application/json;q=0", False),
    ("application/json;q=0.000, text/plain", False), ("application/jsonx", False),
    ("application/json;charset=utf-8;q=0", False),
    ("application/json; charset=utf-8; Q=0.00", False),
    ("application/json;charset=utf-8;q=0.1", True),
    ('application/json;profile="a,b;q=0"', True),
    ('text/plain;note=", application/json"', False),
    ("application/json;q=0, application/x-ndjson", True),
    ("application/json;faq=0", True), (",, ,application/json ; q=1", True),
    ("*/*", False)])
def test_what_accept_asks_for(httpd, mpm, accept, json_wanted):
    server = only_oom(httpd, mpm)
    answer = server.get("/oom?size=1M", headers={"Accept": accept})
    kind = "application/x-ndjson" if json_wanted else "text/plain"
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.startswith("{" if json_wanted else "plan: ")


def test_every_line_is_an_object(httpd, mpm):
    server = only_oom(httpd, mpm)
    said = lines(server, "size=50%25")
    states = [line["state"] for line in said]
    assert states == ["plan"] + ["growing"] * 32 + ["given_back"]
    for line in said:
        assert {"allocated_bytes", "rss_bytes", "cgroup_usage_bytes",
                "cgroup_limit_bytes", "elapsed_seconds"} <= set(line)
        assert line["cgroup_limit_bytes"] == 128 * MIB
    assert said[-2]["allocated_bytes"] == 64 * MIB
    assert said[-2]["rss_bytes"] >= 64 * MIB
    assert said[-2]["cgroup_usage_bytes"] >= 60 * MIB
    assert said[-1]["rss_bytes"] < 24 * MIB


CAPS = """OOMMaxSize 32M
<Location /quarter>
SetHandler oom
OOMMaxSize 25%
</Location>
<Location /inherited>
SetHandler oom
</Location>
<Location /free>
SetHandler oom
OOMMaxSize unlimited
</Location>
<VirtualHost *>
ServerName other.example
OOMMaxSize 2M
</VirtualHost>
"""


def test_the_cap(httpd, mpm):
    server = only_oom(httpd, mpm, shipped_conf=False, start=False)
    server.write_conf(CAPS.replace("VirtualHost *>", f"VirtualHost *:{server.port}>\n"
                                   "ServerName localhost\n</VirtualHost>\n"
                                   f"<VirtualHost *:{server.port}>"))
    server.start()

    def size(path, host="localhost"):
        answer = server.get(path, headers={**JSON, "Host": host}, timeout=30)
        assert answer.error is None
        if answer.status == 400:
            assert "OOMMaxSize" in answer.text
            return None
        return json.loads(answer.text.splitlines()[-1])["allocated_bytes"]

    assert size("/inherited") == 32 * MIB
    assert size("/inherited?size=32M") == 32 * MIB
    assert size("/inherited?size=33M") is None
    assert size("/inherited?size=17M&leak=1&repeat=2") is None
    assert size("/inherited?size=17M&kind=fork") is None
    assert size("/quarter?size=25%") == 32 * MIB
    assert size("/quarter?size=26%") is None
    assert size("/free?size=40M") == 40 * MIB
    assert size("/inherited", "other.example") == 2 * MIB
    assert size("/free?size=40M", "other.example") == 40 * MIB
    assert server.cgroup.oom_kills() == 0


@pytest.mark.parametrize("query,fits", [
    ("size=1&leak=1", 5000), ("kind=mmap&size=1&leak=1", 5000),
    ("kind=shm&size=1&leak=1", 5000), ("kind=thread&size=1&leak=1", 128),
    ("leak=1", 5000), ("kind=fork&size=1&leak=1", 30)])
def test_many_cycles_do_not_slip_by_the_cap(httpd, mpm, query, fits):
    """Each keeps at least a page, and a thread or process more than its stack."""
    server = only_oom(httpd, mpm, conf="OOMMaxSize 40M\n")
    lines(server, "kind=thread&size=8M")  # whatever is allocated only once
    (worker,) = server.workers()
    for repeat in (1000, 10240, 1000000):
        if repeat > fits:
            answer = server.get(f"/oom?{query}&repeat={repeat}")
            assert answer.status == 400 and "OOMMaxSize" in answer.text
    before = server.cgroup.usage()
    last = lines(server, f"{query}&repeat={fits}")[-1]
    assert (last["state"], last["cycle"]) == ("kept", fits)
    assert server.cgroup.usage() - before < 42 * MIB
    assert server.workers() == [worker] and server.cgroup.oom_kills() == 0


def test_empty_pairs_are_passed_over(httpd, mpm):
    server = only_oom(httpd, mpm)
    for query in ("size=1M&", "&&size=1M", "size=1M&&repeat=1&"):
        assert lines(server, query)[0]["size_bytes"] == MIB


@pytest.mark.parametrize("value", ["much", "-1", "0", "5X", "99999999T"])
def test_a_wrong_cap_stops_httpd(httpd, mpm, value):
    server = only_oom(httpd, mpm, start=False)
    server.write_conf(f"OOMMaxSize {value}\n")
    status, said = server.run("-t")
    assert status != 0
    assert f'OOMMaxSize "{value}" is no size: write a number of bytes' in said


def test_the_handler_is_only_where_it_was_put(httpd, mpm):
    server = only_oom(httpd, mpm, shipped_conf=False)
    assert server.get("/oom").status == 404


def test_a_slow_client_stops_it_by_httpds_timeout(httpd, mpm):
    """It reads nothing: the socket fills, the write times out, and that is the end."""
    server = only_oom(httpd, mpm, conf="Timeout 1\nSendBufferSize 4096\n")
    (worker,) = server.workers()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        s.sendall(b"GET /oom?size=1M&repeat=100000&kind=reserve HTTP/1.1\r\n"
                  b"Host: localhost\r\n\r\n")
        s.recv(64)
        time.sleep(3)
        assert idle(worker)
    assert server.get().status == 200


def idle(pid):
    def ticks():
        with open(f"/proc/{pid}/stat") as f:
            return sum(map(int, f.read().rpartition(")")[2].split()[11:13]))
    first = ticks()
    time.sleep(0.5)
    return ticks() - first <= 5
