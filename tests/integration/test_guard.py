# Licensed under the Apache License, Version 2.0; see LICENSE.
"""mod_oomguard: every kill in this httpd gives one line, with the right pid and request."""
import os
import re
import signal
import subprocess
import time

import pytest

import httpd as harness
import killgate
import processes

# Only ever upwards, so that it works without CAP_SYS_RESOURCE as well.
SCORES = """OOMGuardScore master absolute {master}
OOMGuardScore worker absolute {worker}
OOMGuardScore helper absolute {helper}
"""

CGID = """<IfModule cgid_module>
ScriptSock {root}/cgisock
</IfModule>
ScriptAlias /cgi/ {root}/cgi/
<Directory {root}/cgi>
Require all granted
</Directory>
"""


def pid_in(line):
    return int(re.match(r"OG0101: the kernel killed \w+ (\d+) ", line.text)[1])


def script(server, name, text):
    folder = f"{server.root}/cgi"
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/{name}"
    with open(path, "w") as f:
        f.write("#!/bin/sh\necho 'Content-Type: text/plain'\necho\n" + text)
    os.chmod(path, 0o755)


def with_cgi(httpd, conf="", module="cgid", **options):
    server = httpd(start=False, modules=("alias", module), **options)
    server.write_conf(CGID.format(root=server.root) + conf)
    script(server, "score", "cat /proc/self/oom_score_adj\n")
    script(server, "eat", "exec tail /dev/zero\n")
    script(server, "nested", "tail /dev/zero\necho done\n")
    script(server, "slow", "echo $$\nsleep 120\n")
    return server.start()


def end_slow(server):
    for p in server.processes():
        if p.name in ("slow", "sleep"):
            os.kill(p.pid, signal.SIGKILL)


def watchers(server):
    """Those that have begun: they have given away their rights."""
    return [p.pid for p in server.children() if p.name == "oomguard" and p.uid != 0]


def watcher(server):
    """Its pid, as soon as there is one: it may be between two of them."""
    return server.wait_for(lambda: watchers(server), timeout=90, what="a watcher")[0]


def eat(server, path="/oom", **options):
    """A kill, and the kernel's record of it. The kernel may find it has to kill another one
    before the memory of the first is free: told() knows of all."""
    server.spare_worker()
    with killgate.one():
        return eat_now(server, path, **options)


def eat_now(server, path="/oom", **options):
    """The same, by a caller that has the gate."""
    before = len(server.kernel_kills())
    server.get(path, timeout=60, **options)
    server.wait_for(lambda: len(server.kernel_kills()) > before, what="the kernel's record")
    return server.kernel_kills()[before]


def eat_unwatched(server):
    """A kill while there is no watcher: the master, stopped meanwhile, starts the next one only
    then."""
    server.spare_worker()
    with killgate.one():
        os.kill(server.master_pid, signal.SIGSTOP)
        try:
            os.kill(watcher(server), signal.SIGKILL)
            return eat_now(server)
        finally:
            os.kill(server.master_pid, signal.SIGCONT)


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def told(server, timeout=30):
    """The lines, once there is exactly one for each kill, in order."""
    def pids():
        return [pid_in(line) for line in server.errors("OG0101")]

    def kills():
        return [k.pid for k in server.kernel_kills()]

    server.wait_for(lambda: len(pids()) >= len(kills()), timeout,
                    f"lines for {kills()}; there are {pids()}")
    time.sleep(0.1)  # one too many would come now
    assert pids() == kills()
    return server.errors("OG0101")


def line_of(server, kill, timeout=30):
    (line,) = [line for line in told(server, timeout) if pid_in(line) == kill.pid]
    return line


# --- The line.

def test_a_kill_is_survived_and_told(httpd):
    server = httpd()
    server.expect("OG0101")
    line = line_of(server, eat(server))
    assert (line.module, line.level) == ("oomguard", "crit")
    assert line.pid == watcher(server)
    assert re.search(
        r'killed worker \d+ "\S+", slot \d+, generation 0: memory cgroup "\S*'
        + re.escape(server.cgroup.name) + r'" is at its limit of 128\.0 MiB when "[^"]+" asked for more; '
        r'it had anon 1?\d\d\.\d MiB, file \d+\.\d MiB, shmem \d+\.\d MiB, oom_score_adj 200, '
        r'uid \d+; request "GET" "/oom" vhost "localhost" client "127\.0\.0\.1" for '
        r'\d+\.\d{3} s(, which took 1?\d\d\.\d MiB)? \(certain: the only one in flight\); its route '
        r'"localhost" "oom" "/oom" has had no request that ended, 1 kill$', line.text), line.text
    assert server.get().status == 200
    assert processes.process(server.master_pid) is not None


def test_twenty_kills_in_a_row(httpd):
    server = httpd()
    server.expect("OG0101")
    eaters = set()
    for _ in range(20):
        eaters.add(eat(server).pid)
    lines = told(server)
    assert len(eaters) == 20 and len(lines) == server.cgroup.oom_kills()
    assert all('"GET" "/oom"' in line.text for line in lines if pid_in(line) in eaters)
    # The guard itself must need no memory that another one would be killed for.
    assert not [line.text for line in lines if '"oomguard" asked for more' in line.text]
    assert server.get().status == 200


def test_a_worker_is_faster_than_its_master(httpd, installation):
    server = httpd(conf=installation.load_test_module("latemaster"))
    server.expect("OG0101")
    # Begins while the master has not yet noted this worker, and ends after that.
    line = line_of(server, eat(server, "/oom?rate=60M"))
    assert '"GET" "/oom"' in line.text


def test_the_query_is_not_told_and_the_path_forges_nothing(httpd):
    server = httpd(conf='<LocationMatch "/x">\nSetHandler oom\n</LocationMatch>\n')
    server.expect("OG0101")
    line = line_of(server, eat(server, "/x%22%0aOG0101:%20the%20kernel%20killed%20%1b[2J?kind=anon"))
    assert '"/x%22%0aOG0101:%20the%20kernel%20killed%20%1b[2J" vhost' in line.text
    assert "kind=anon" not in line.text


def test_the_virtual_host_is_named(httpd):
    server = httpd(start=False)
    server.write_conf(f"""<VirtualHost *:{server.port}>
ServerName first.example
</VirtualHost>
<VirtualHost *:{server.port}>
ServerName quiet.example
OOMGuard Off
</VirtualHost>
""")
    server.start()
    server.expect("OG0101")
    first, quiet = [line_of(server, eat(server, headers={"Host": host}))
                    for host in ("first.example", "quiet.example")]
    assert 'vhost "first.example"' in first.text
    assert "request of a host with OOMGuard Off for" in quiet.text
    assert "/oom\"" not in quiet.text and "quiet" not in quiet.text


@pytest.mark.mpms("worker", "event")  # a worker of prefork serves one request at a time
def test_of_many_requests_the_one_that_asked_is_likely(httpd):
    server = with_cgi(httpd, small="StartServers 1\nServerLimit 1\nThreadLimit 8\n"
                      "ThreadsPerChild 8\nMinSpareThreads 1\nMaxSpareThreads 8\n"
                      "MaxRequestWorkers 8\n")
    server.expect("OG0101")
    slow = server.open("/cgi/slow")
    assert slow.readline()
    line = line_of(server, eat(server))
    assert '"GET" "/oom"' in line.text
    assert re.search(r"\(likely: (its thread asked for the memory that was not there"
                     r"|it took more than the others together), of 2 in flight\)", line.text)
    slow.close()
    end_slow(server)


# --- Whose kill it is.

def test_a_cgi_script_is_a_helper(httpd):
    server = with_cgi(httpd, SCORES.format(master=10, worker=20, helper=500))
    server.expect("OG0101")
    server.allow("AH01215|AH02550|AH01264|Killed", "of a script that is killed")
    for path in ("/cgi/eat", "/cgi/nested"):
        line = line_of(server, eat(server, path))
        assert re.search(r'killed helper \d+ "tail"', line.text), line.text
        assert "oom_score_adj 500" in line.text


def test_the_master_is_told_by_the_watcher_that_outlives_it(httpd_unaudited):
    server = httpd_unaudited(conf=SCORES.format(master=1000, worker=0, helper=0))
    master = server.master_pid
    # Shared among two: one that had all of it would count for as much as a score of 1000.
    server.kill_by("/oom?kind=fork")
    server.wait_for(server._died, what="the master's end")
    line = server.wait_for_error("OG0101")[0]
    assert f"the kernel killed master {master} " in line.text
    server.wait_for(lambda: all(p.name != "oomguard" for p in server.processes()),
                    what="the end of the watcher")
    server.patience = 0  # without a master, workers stay


def records(log):
    n = 0
    while True:
        try:
            os.read(log, 8192)
        except BlockingIOError:
            return n
        except BrokenPipeError:
            pass
        n += 1


def run_in(server, *command, score=1000):
    return subprocess.Popen(server.cgroup.inside(
        ["sh", "-c", 'echo "$0" >/proc/self/oom_score_adj && exec "$@"', str(score), *command]))


def killed_in(server, *command):
    """Runs a command in its cgroup that eats until it is killed: its pid."""
    with killgate.one():
        stranger = run_in(server, *command)
        stranger.wait()
    return stranger.pid


def test_others_in_the_cgroup_are_neighbours(httpd):
    server = httpd()
    server.expect("OG0102", times=1)
    server.allow("OG0101", "the kernel may kill a worker, too")
    stranger = killed_in(server, "tail", "/dev/zero")
    (line,) = server.wait_for_error("OG0102")
    assert line.level == "notice"
    assert f'the kernel killed process {stranger} "tail"' in line.text


def test_others_elsewhere_are_strangers(httpd):
    mine = httpd(log_level="info")
    other = httpd(own=(), limit_mib=24)
    stranger = killed_in(other, "tail", "/dev/zero")
    mine.wait_for(lambda: [e for e in mine.errors("OG0103")
                           if f"process {stranger} " in e.text and e.level == "info"])
    assert mine.errors("OG0101") == mine.errors("OG0102") == []


def test_a_forking_eater(httpd):
    """Whichever of the two the kernel takes, each of its kills has its line."""
    server = httpd()
    server.expect("OG0101")
    eat(server, "/oom?kind=fork")
    time.sleep(0.5)
    told(server)


# --- The watcher's life.

def sleeps_well(pid, looks):
    """Within two seconds, is it woken by nothing but the kernel's log, which may have something to
    say to others, and its own looks, so many a second?"""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)

    def times_asleep():
        return int(status_of(pid)["voluntary_ctxt_switches"])

    woken, since = times_asleep(), time.monotonic()
    time.sleep(2)
    again, seconds = times_asleep(), time.monotonic() - since
    read = records(log)
    os.close(log)
    return again - woken <= read + looks * (2 * seconds + 1)


@pytest.mark.parametrize("routes, looks", [("Off", 0), ("On", 1)])
def test_the_watcher_has_no_rights_and_does_nothing(httpd, routes, looks):
    """Or looks once a second whether there are requests."""
    server = httpd(conf=f"OOMGuardRoutes {routes}\n")
    pid = watcher(server)
    status = status_of(pid)
    assert status["Uid"].split()[0] != "0" and status["Gid"].split()[0] != "0"
    assert status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert "oomguard" in processes.process(pid).cmdline[0]
    fds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    assert "/dev/kmsg" in fds and not [f for f in fds if f.startswith("socket:")], fds
    assert any(sleeps_well(pid, looks) for _ in range(5))


def lived(pid):
    """For so many seconds by now."""
    with open(f"/proc/{pid}/stat") as f:
        ticks = int(f.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def test_a_killed_watcher_is_replaced(httpd):
    """At once, unless it had only just begun: then after a pause."""
    server = httpd()
    server.expect("OG0101")
    server.wait_for(lambda: lived(watcher(server)) > 5.5, what="five seconds of a watcher's life")
    at_least, at_most = [], []
    for n in range(1, 6):
        pid = watcher(server)
        at_least.append(lived(pid))
        os.kill(pid, signal.SIGKILL)
        server.wait_for(lambda: processes.process(pid) is None, what="its end")
        line = server.wait_for_error("OG0302", count=n)[n - 1]
        at_most.append(at_least[-1] + 1)
        assert ("the next one starts now" in line.text) != ("after a pause" in line.text)
        if "after a pause" in line.text:
            assert at_least[-1] < 5
            break
        assert at_most[-1] > 5
    assert n > 1 and "after a pause" in line.text
    server.expect("OG0302", times=n)
    line_of(server, eat(server), timeout=90)


def test_a_kill_while_nobody_watches_is_told_later(httpd):
    server = httpd()
    server.expect("OG0101")
    server.expect("OG0302", times=1)
    line_of(server, eat(server))
    kill = eat_unwatched(server)
    line = line_of(server, kill, timeout=30)
    assert line.text.endswith("; read late, while nobody watched")
    assert '"GET" "/oom"' in line.text
    assert "read late" not in line_of(server, eat(server)).text


@pytest.mark.any_mpm
def test_a_watcher_that_did_not_run_knows_the_request(httpd):
    server = httpd()
    server.expect("OG0101")
    pid = watcher(server)
    os.kill(pid, signal.SIGSTOP)
    kill = eat(server)
    server.wait_for(lambda: server.buried(kill.pid), what="its burial")
    # By then it died longer ago than a kill that is read at once: 5 s, and a second until the
    # master knew of it.
    time.sleep(7)
    os.kill(pid, signal.SIGCONT)
    line = line_of(server, kill)
    assert f"worker {kill.pid} " in line.text and '"GET" "/oom"' in line.text
    assert line.text.endswith("; read late, while nobody watched")


def test_one_watcher_after_restarts(httpd):
    """Of many restarts, see test_restarts.py."""
    server = httpd()
    server.expect("OG0101")
    line_of(server, eat(server))
    server.graceful()
    server.graceful()
    server.restart()
    assert [p.name for p in server.children()].count("oomguard") == 1
    assert re.search(r"generation [1-9]", line_of(server, eat(server)).text)


def test_a_graceful_restart_right_after_a_kill(httpd):
    """The old watcher or the new one tells of it: one of them, and one only."""
    server = httpd()
    server.expect("OG0101")
    for _ in range(6):
        server.kill_by()
        server.graceful()
        told(server)


def test_a_piped_error_log(httpd, installation):
    server = httpd(start=False)
    server.error_log = f"|{installation.program('rotatelogs')} {server.root}/error_log.%Y 86400"
    server.write_conf()
    server.start()
    server.expect("OG0101")
    for _ in range(2):
        line_of(server, eat(server))
        server.graceful()


def test_the_kernels_log_out_of_reach(httpd_unaudited, installation, mpm):
    with open("/proc/sys/kernel/dmesg_restrict") as f:
        if f.read().strip() == "0":
            pytest.skip("kernel.dmesg_restrict is 0: everybody may read the kernel's log")
    server = httpd_unaudited(start=False)
    harness.start_behind(server, installation, "exec setpriv --bounding-set -syslog,-sys_admin "
                         '--inh-caps -syslog,-sys_admin "$@"')
    server.graceful()
    (line,) = server.errors("OG0301")
    assert line.level == "notice" and "CAP_SYSLOG" in line.text
    kill = eat(server)
    (line,) = server.wait_for_error("OG0104")
    assert f"worker {kill.pid}, slot" in line.text and '"GET" "/oom"' in line.text
    assert "the kernel's log is not read" in line.text
    assert server.get().status == 200


# --- Scores.

def scores(server):
    found = {"master": {server.oom_score_adj()},
             "worker": {server.oom_score_adj(pid) for pid in server.workers()}}
    for p in server.children():
        if p.pid in server.workers():
            continue
        name = "cgid" if p.name in ("apache2", "httpd") else p.name
        found.setdefault(name, set()).add(server.oom_score_adj(p.pid))
    return found


def wait_for_scores(server, expected):
    # A worker that was just forked has its score already, and is not yet seen to be a worker.
    server.wait_for(lambda: scores(server) == expected, what=f"{expected}, not {scores(server)}")


def test_every_role_has_its_score(httpd, installation):
    rotate = installation.program("rotatelogs")
    conf = f'CustomLog "|{rotate} /dev/null 86400" "%h %r %>s"\n'
    server = with_cgi(httpd, conf + SCORES.format(master=50, worker=300, helper=100))
    expected = {"master": {50}, "worker": {300}, "rotatelogs": {100}, "cgid": {100},
                "oomguard": {processes.oom_score_adj(os.getpid())}}
    wait_for_scores(server, expected)
    assert server.get("/cgi/score").text == "100\n"

    # Changed values count for the master and for what is forked from now on.
    old = server.workers()
    server.write_conf(CGID.format(root=server.root) + conf
                      + SCORES.format(master=40, worker=310, helper=110))
    server.graceful()
    assert not set(old) & set(server.workers())
    expected = {"master": {40}, "worker": {310}, "rotatelogs": {110}, "cgid": {110},
                "oomguard": {processes.oom_score_adj(os.getpid())}}
    wait_for_scores(server, expected)
    assert server.get("/cgi/score").text == "110\n"

    # A daemon that is forked again while httpd runs.
    (cgid,) = [p.pid for p in server.children() if p.name in ("apache2", "httpd")
               and p.pid not in server.workers()]
    server.allow("AH01239|AH02179|cgid daemon process died", "cgid is killed")
    server.allow("AH00167|AH00291|AH00488", "of a cgid whose configuration is gone")
    server.allow("AH00646", "a piped logger of before a restart is gone")
    os.kill(cgid, signal.SIGKILL)
    server.wait_for(lambda: cgid not in [p.pid for p in server.children()]
                    and scores(server).get("cgid"), what="a new cgid")
    wait_for_scores(server, expected)

    # And without the module, all is as it was.
    base = processes.oom_score_adj(os.getpid())
    server.own = ()
    server.write_conf(CGID.format(root=server.root) + conf)
    server.graceful()
    assert server.oom_score_adj() == base
    server.wait_for(lambda: "oomguard" not in scores(server)
                    and scores(server)["worker"] == {base}, what="scores of old")


def test_a_master_that_may_be_protected_is(httpd):
    server = httpd()
    if processes.may_lower_scores():
        assert server.oom_score_adj() == processes.oom_score_adj(os.getpid()) - 900
    else:
        assert [line.level for line in server.errors("OG0201")] == ["notice"]
        assert "CAP_SYS_RESOURCE" in server.errors("OG0201")[0].text
        server.graceful()
        server.graceful()
        assert len(server.errors("OG0201")) == 1
    assert {server.oom_score_adj(pid) for pid in server.workers()} == {
        processes.oom_score_adj(os.getpid()) + 200}


@pytest.mark.long
def test_what_no_hook_sees_the_monitor_does(httpd, mpm):
    """A worker's child can't write its score, and a name comes with exec: both wait for the
    master's next look around."""
    module = "cgi" if mpm == "prefork" else "cgid"
    server = with_cgi(httpd, SCORES.format(master=50, worker=300, helper=100)
                      + 'OOMGuardScore process "sle*" absolute 400\n'
                      'OOMGuardScore process "nobody" absolute 900\n', module=module)
    answer = server.open("/cgi/slow", timeout=120)
    shell = int(answer.readline())
    sleep = server.wait_for(lambda: [p.pid for p in server.processes() if p.name == "sleep"])[0]
    server.wait_for(lambda: server.oom_score_adj(sleep) == 400, timeout=60,
                    what="the score of sleep")
    assert server.oom_score_adj(shell) == 100
    assert {server.oom_score_adj(pid) for pid in server.workers()} == {300}
    answer.close()
    end_slow(server)


# --- Restarts that change more than the configuration.

def sleepers(server):
    return {p.pid for p in server.processes() if p.name == "sleep"}


@pytest.mark.long
def test_a_worker_that_lost_its_slot_is_a_worker_still(httpd):
    """After a graceful restart the worker MPM gives the slots of those away that still serve."""
    server = with_cgi(httpd, SCORES.format(master=5, worker=20, helper=10)
                      + 'OOMGuardScore process "sleep" absolute 15\n')
    server.expect("OG0101")
    server.allow("AH00167|AH00291|AH00488", "of a cgid whose configuration is gone")
    first = server.workers()
    slow = server.open("/cgi/slow", timeout=120)
    assert slow.readline()
    server.graceful()
    server.wait_for(lambda: sum(p.pid in first for p in server.children()) == 1,
                    what="the end of all old workers but one")
    (old,) = [p.pid for p in server.children() if p.pid in first]
    # The master has looked around since when it has found a process that began later.
    before = server.wait_for(lambda: sleepers(server), what="the script's sleep")
    later = server.open("/cgi/slow", timeout=120)
    assert later.readline()
    (sleep,) = server.wait_for(lambda: sleepers(server) - before, what="another one's")
    server.wait_for(lambda: server.oom_score_adj(sleep) == 15, timeout=90, what="its score")
    assert server.oom_score_adj(old) == 20
    with open(f"/proc/{old}/oom_score_adj", "w") as f:
        f.write("1000")  # to be the victim, whoever eats
    kill = eat(server, "/oom?kind=fork")
    assert kill.pid == old
    line = line_of(server, kill)
    assert f"killed worker {old} " in line.text and "generation 0" in line.text
    assert '"GET" "/cgi/slow"' in line.text
    slow.close()
    later.close()
    end_slow(server)


# --- Configuration.

@pytest.mark.parametrize("conf, says", [
    ("OOMGuard Maybe", "OOMGuard must be On or Off"),
    ("OOMGuardWatch dmesg", 'one or both of kmsg and counter, not "dmesg"'),
    ("OOMGuardWatch kmsg auto", 'not "auto"'),
    ("OOMGuardWatch kmsg kmsg", 'not "kmsg"'),
    ("OOMGuardScore", "wants a role and a value: write OOMGuardScore master|worker|helper"),
    ("OOMGuardScore master", "wants a role and a value"),
    ("OOMGuardScore boss 5", 'there is no role "boss"'),
    ("OOMGuardScore worker 1001", '"1001" is no score: write a whole number from -1000 to 1000'),
    ("OOMGuardScore worker absolut 5", '"absolut 5" is no score'),
    ("OOMGuardScore worker 5 absolute", '"5 absolute" is no score'),
    ("OOMGuardScore worker absolute 5 6", "too few or too many words"),
    ("OOMGuardScore process php", "process wants a name or pattern and a value"),
    ('OOMGuardScore process "" 5', "process wants a name or pattern and a value"),
    ("OOMGuardScore process a[ 5", "the [ has no ]"),
    ("OOMGuardScore process sixteen-letters- 5", "write at most the first 15 characters"),
    ("OOMGuardScore process php absolute", '"absolute" is no score'),
    ("<VirtualHost *>\nOOMGuardScore worker 5\n</VirtualHost>", "OOMGuardScore"),
    ("<VirtualHost *>\nOOMGuardWatch off\n</VirtualHost>", "OOMGuardWatch"),
    ("OOMGuardJournal journal", "OOMGuardJournal must be On or Off"),
    ("<VirtualHost *>\nOOMGuardJournal Off\n</VirtualHost>", "OOMGuardJournal"),
    ("<Location />\nOOMGuard Off\n</Location>", "OOMGuard not allowed"),
])
def test_a_wrong_directive_stops_httpd_and_says_what_to_write(httpd_unaudited, conf, says):
    server = httpd_unaudited(start=False, conf=conf + "\n")
    status, said = server.run("-t")
    assert status != 0 and says in said, said


def test_what_is_in_force_is_dumped(httpd_unaudited):
    server = httpd_unaudited(start=False, conf='OOMGuardScore process "php*" absolute 7\n'
                             "<VirtualHost *:1>\nServerName q.example\nOOMGuard Off\n"
                             "</VirtualHost>\n")
    status, said = server.run("-t", "-D", "DUMP_OOMGUARD")
    assert status == 0, said
    assert "OOM guard: on\n  watches: auto\n" in said
    assert "  journal: off\n  routes: on\n  queries: not told\n" in said
    assert "  score of master: relative -900\n" in said
    assert '  score of process "php*": absolute 7\n' in said
    assert "requests of q.example" in said


def test_off_is_off(httpd):
    server = httpd(conf="OOMGuard Off\n")
    server.untold = "the first kill, while it was off"
    base = processes.oom_score_adj(os.getpid())
    assert watchers(server) == []
    assert {server.oom_score_adj(p.pid) for p in server.processes()} == {base}
    eat(server)
    assert server.get().status == 200
    # And on again, in the running httpd.
    server.write_conf("OOMGuard On\n")
    server.graceful()
    server.expect("OG0101")
    seen = len(server.kernel_kills())
    server.kill_by()
    server.wait_for(lambda: len(server.kernel_kills()) > seen, what="a kill")
    server.wait_for_error("OG0101")
    assert [pid_in(line) for line in server.errors("OG0101")] == [
        k.pid for k in server.kernel_kills()[seen:]]


def test_scores_without_a_watcher(httpd):
    server = httpd(conf="OOMGuardWatch off\n")
    assert watchers(server) == []
    eat(server)
    server.wait_for(server.workers)
    assert {server.oom_score_adj(pid) for pid in server.workers()} == {
        processes.oom_score_adj(os.getpid()) + 200}


def test_httpd_runs_with_one_process_only(httpd):
    """httpd -X: the worker is the master."""
    server = httpd(start=False)
    run = subprocess.Popen([server.inst.httpd, "-X", "-d", server.root, "-f", server.conf_path],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        server.wait_for(lambda: server.get(timeout=2).status == 200, what="an answer")
        assert processes.oom_score_adj(run.pid) == processes.oom_score_adj(os.getpid()) + 200
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(10)
