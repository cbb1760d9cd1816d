# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The harness itself: what it must not let pass."""
import os
import subprocess

import pytest

import cgroup
import killgate
import processes
from errorlog import Allowance, Expectation, audit, parse

STAMP = "[Fri Nov 20 21:55:18.601603 2026]"
DENIED = (f"{STAMP} [authz_core:error] [pid 7:tid 8] [client 127.0.0.1:9] AH01630: client "
          "denied by server configuration: /x")
KILLED = f"{STAMP} [oomguard:crit] [pid 7:tid 7] OG0101: the kernel killed worker 9"
NOTICE = f"{STAMP} [oomguard:notice] [pid 7:tid 7] OG0201: no right"
RESUMING = f"{STAMP} [mpm_event:notice] [pid 7:tid 7] AH00489: Apache configured -- resuming"


def lines(*raw):
    return parse("\n".join(raw))


# --- Lines.

def test_a_line_is_taken_apart():
    (line,) = lines(DENIED)
    assert (line.level, line.module, line.pid, line.tid, line.tag) == \
        ("error", "authz_core", 7, 8, "AH01630")


def test_an_errno_before_the_tag():
    (line,) = lines(f"{STAMP} [core:crit] [pid 7:tid 7] (98)Address already in use: AH00072: x")
    assert line.tag == "AH00072"


def test_a_tag_that_somebody_sent_is_none():
    (line,) = lines(f"{STAMP} [core:error] [pid 7:tid 7] AH00126: Invalid URI in request "
                    "GET OG0101: the kernel killed")
    assert line.tag == "AH00126"
    (line,) = lines(f"{STAMP} [cgid:error] [pid 7:tid 7] said OG0101: the kernel killed")
    assert line.tag is None


# --- The audit.

def test_undeclared_lines_fail():
    assert len(audit(lines(DENIED), [])) == 1
    assert "undeclared" in audit(lines(KILLED), [])[0]


def test_declared_lines_pass():
    assert audit(lines(DENIED, KILLED), [Expectation("AH01630"), Expectation("OG0101")]) == []
    assert audit(lines(DENIED), [Expectation("client denied by .*: /x$")]) == []


def test_a_tag_is_not_looked_for_in_the_text():
    raw = f"{STAMP} [core:error] [pid 7:tid 7] AH00001: something with OG0101: in it"
    assert len(audit(lines(raw), [Expectation("OG0101")])) == 2


def test_notices_of_our_modules_must_be_declared_but_not_those_of_others():
    assert audit(lines(RESUMING), []) == []
    assert len(audit(lines(NOTICE), [])) == 1


def test_what_is_no_line_of_httpd_must_be_declared():
    assert len(audit(lines("Segmentation fault"), [])) == 1
    assert len(audit(lines(f"{STAMP} [core:bogus] [pid 7:tid 8] x"), [])) == 1


def test_a_crash_must_be_declared():
    raw = f"{STAMP} [core:notice] [pid 7:tid 7] AH00052: child pid 9 exit signal Segmentation fault"
    assert "undeclared" in audit(lines(raw), [])[0]


def test_expected_but_never_seen_fails():
    assert audit([], [Expectation("OG0101")]) == ["declared, never seen: OG0101"]


def test_what_is_allowed_need_not_be_there():
    assert audit([], [Allowance("OG0101", "why")]) == []
    assert audit(lines(KILLED, KILLED), [Allowance("OG0101", "why", most=2)]) == []
    assert "seen 2" in audit(lines(KILLED, KILLED), [Allowance("OG0101", "why", most=1)])[0]


def test_times_are_counted():
    assert audit(lines(KILLED, KILLED), [Expectation("OG0101", times=2)]) == []
    assert "seen 2" in audit(lines(KILLED, KILLED), [Expectation("OG0101", times=1)])[0]
    assert "seen 0" in audit([], [Expectation("OG0101", times=1)])[0]


# --- Cgroups.

MOUNTS = """24 1 0:21 / /sys rw - sysfs sysfs rw
30 24 0:26 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu
31 24 0:27 /docker/x /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
"""


def test_a_memory_hierarchy_of_version_1_is_found(tmp_path):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert cgroup.find_root(str(tmp_path / "mountinfo")) == (1, "/sys/fs/cgroup/memory")


def test_one_of_version_2_only_if_it_has_the_controller(tmp_path):
    mount = tmp_path / "cg"
    mount.mkdir()
    (tmp_path / "mountinfo").write_text(f"30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    with pytest.raises(cgroup.CgroupError):
        cgroup.find_root(str(tmp_path / "mountinfo"))
    (mount / "cgroup.controllers").write_text("cpu memory pids\n")
    assert cgroup.find_root(str(tmp_path / "mountinfo")) == (2, str(mount))


# --- A real httpd, without our modules.

def test_it_starts_restarts_and_leaves_nothing(httpd):
    server = httpd(own=())
    assert server.get().status == 200
    assert len(server.get().body) == 1024
    first = server.workers()
    assert len(first) >= 1
    server.graceful()
    assert not set(server.workers()) & set(first)
    server.restart()
    assert server.get().status == 200
    assert server.oom_score_adj() == processes.oom_score_adj(os.getpid())
    folder, pid = server.cgroup.path, server.master_pid
    assert server.stop() == []
    assert not os.path.exists(folder)
    assert processes.process(pid) is None


def test_it_starts_as_a_daemon(httpd):
    server = httpd(own=(), daemon=True)
    assert server.get().status == 200
    assert server.master_pid != server.proc.pid
    assert server.stop() == []


def test_an_undeclared_error_of_a_real_httpd_is_found(httpd_unaudited):
    server = httpd_unaudited(own=(), conf="<Location /no>\nRequire all denied\n</Location>\n")
    assert server.get("/no").status == 403
    assert [w for w in server.audit() if "AH01630" in w]
    server.expect("AH01630", times=1)
    assert server.audit() == []


@pytest.mark.any_mpm
def test_a_process_that_is_left_behind_is_found(httpd_unaudited):
    server = httpd_unaudited(own=())
    stray = subprocess.Popen(["sleep", "60"])
    server.cgroup.write("cgroup.procs", stray.pid)
    server.patience = 2
    wrong = server.stop()
    stray.wait()
    assert any("sleep" in w for w in wrong), wrong


@pytest.mark.any_mpm
def test_what_is_left_behind_of_shared_memory_is_found(httpd_unaudited):
    server = httpd_unaudited(own=())
    server.namespace.run("touch", "/dev/shm/ours")
    server.namespace.run("ipcmk", "--semaphore", "1", "--shmem", "4096")
    posix, *sysv = [w for w in server.stop() if w.startswith("left behind: ")]
    assert posix == "left behind: /dev/shm/ours"
    assert [w.split()[2] for w in sysv] == ["sem", "shm"]


@pytest.mark.any_mpm
def test_what_others_have_of_shared_memory_is_not_ours(httpd_unaudited):
    server = httpd_unaudited(own=())
    made = [subprocess.run(["ipcmk", *what], stdout=subprocess.PIPE, check=True, text=True)
            .stdout.split()[-1] for what in (["--semaphore", "1"], ["--shmem", "4096"])]
    try:
        assert server.stop() == []
    finally:
        subprocess.run(["ipcrm", "--semaphore-id", made[0], "--shmem-id", made[1]], check=True)


def test_a_configuration_that_is_wrong_does_not_start(httpd_unaudited):
    server = httpd_unaudited(start=False, own=(), conf="NoSuchDirective\n")
    status, said = server.run("-t")
    assert status != 0 and "NoSuchDirective" in said
    with pytest.raises(RuntimeError, match="NoSuchDirective"):
        server.start()


def test_kills_are_counted_and_named_by_the_kernel(httpd_unaudited):
    """A kill without our modules, of a process that keeps all it reads."""
    server = httpd_unaudited(own=(), limit_mib=24)
    with killgate.one():
        eater = subprocess.Popen(server.cgroup.inside(
            ["sh", "-c", "echo 1000 >/proc/self/oom_score_adj && exec tail /dev/zero"]))
        eater.wait()
    server.wait_for(server.kernel_kills, what="the kernel's record")
    kills = server.kernel_kills()
    assert len(kills) == server.cgroup.oom_kills()
    assert (kills[0].pid, kills[0].name) == (eater.pid, "tail")
    # None if others had the kernel kill more often than it prints whose they were.
    assert kills[0].cgroup is None or kills[0].cgroup.endswith(server.cgroup.name)
    assert server.get().status == 200
