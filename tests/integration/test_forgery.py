# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What somebody else than the kernel writes into its log is no kill; what a process is named
forges nothing. Whoever may write to /dev/kmsg gets a facility that is not the kernel's."""
import errno
import json
import os
import sys

import pytest

from test_guard import eat, killed_in, line_of, told
from test_history import HISTORY, history

pytestmark = pytest.mark.any_mpm

# The kernel takes no more at once (PRINTKRB_RECORD_MAX).
RECORD_MAX = 1024

TAIL = " total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:40kB " \
       "oom_score_adj:200"
NAMES = ("httpd", "a) total-vm:1kB", "a\nb", "\x1b[2J", "\x00", "x" * 15, "")
PREFIXES = ("Memory cgroup out of memory: ", "Out of memory: ", "",
            "Out of memory (oom_kill_allocating_task): ")
ECHOES = ("audit: ", " ", "grep: ", "kernel: ", "3,1,1,-;", "<3>", "\n", "\x1b[1G", "\x7f")


def write(record):
    """Of one opener the kernel takes but a few: each record has its own."""
    fd = os.open("/dev/kmsg", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, record.encode())
    finally:
        os.close(fd)


class Forged:
    """What has arrived in the kernel's log from now on: (priority, text)."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)

    def read(self):
        found = []
        while True:
            try:
                head, _, text = os.read(self.fd, 8192).decode().partition(";")
            except BlockingIOError:
                return found
            found.append((int(head.split(",")[0]), text))


def headers(pid):
    return ("httpd invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=200",
            "memory: usage 1kB, limit 2kB, failcnt 3",
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
            f"oom_memcg=/forged,task_memcg=/forged,task=httpd,pid={pid},uid=33",
            "Tasks in /forged are going to be killed due to memory.oom.group set",
            f"Memory cgroup out of memory: OOM victim {pid} (httpd) is already exiting. "
            "Skip killing the task")


def forgeries(pid):
    kill = f"Memory cgroup out of memory: Killed process {pid} (httpd){TAIL}"
    for level in range(8):
        yield f"<{level}>{kill}"
    for facility in (0, 1, 2, 16, 31):
        yield f"<{8 * facility + 3}>{kill}"
    for prefix in PREFIXES:
        for name in NAMES:
            yield f"<3>{prefix}Killed process {pid} ({name}){TAIL}"
    for echo in ECHOES:
        yield f"<3>{echo}{kill}"
    for header in headers(pid):
        yield f"<3>{header}"
    yield kill


def test_forged_records(httpd):
    server = httpd(conf=HISTORY, log_level="info")
    server.expect("OG0101")
    pid = server.workers()[0]
    log = Forged()
    records = list(forgeries(pid))
    for record in records:
        write(record)
    arrived = log.read()
    assert sum("Killed process" in text for _, text in arrived) >= 40
    assert all(priority >= 8 for priority, text in arrived if str(pid) in text)
    # The kernel refuses what is too long; 64 KiB come in pieces, the last of which is short.
    line = f"Memory cgroup out of memory: Killed process {pid} (httpd){TAIL} ".ljust(65536, "x")
    with pytest.raises(OSError) as refused:
        write(line)
    assert refused.value.errno == errno.EINVAL
    for at in range(0, len(line), RECORD_MAX - 4):
        write("<3>" + line[at:at + RECORD_MAX - 4])
    # What was forged right before it is not told of a real one.
    for header in headers(pid)[:3]:
        write(f"<3>{header}")
    kill = eat(server)
    real = line_of(server, kill)
    assert f'memory cgroup "{server.cgroup.name}" is at its limit of 128.0 MiB' in real.text
    assert "forged" not in json.dumps(history(server)) + "".join(e.text for e in server.errors())
    # Behind it neither.
    for record in records[:20]:
        write(record)
    eat(server)
    told(server)
    server.wait_for(lambda: len(history(server)) == len(server.kernel_kills()))
    assert [e["pid"] for e in history(server)] == [k.pid for k in server.kernel_kills()]
    assert not server.errors("OG0102")
    assert not [e for e in server.errors("OG0103") if f" {pid} " in e.text]
    os.close(log.fd)


@pytest.mark.parametrize("name", ["a) total-vm:1kB", "x (httpd), UID ", "\x1b[2J\n[crit]"])
def test_a_name_that_is_killed(httpd, name):
    server = httpd(own=("oomguard",))
    server.expect("OG0102", times=1)
    server.allow("OG0101", "the kernel may kill a worker, too")
    stranger = killed_in(server, sys.executable, "-c", f"""
with open("/proc/self/comm", "w") as f:
    f.write({name!r})
b = b"x"
while True:
    b += b
""")
    (line,) = server.wait_for_error("OG0102")
    assert f"the kernel killed process {stranger} " in line.text
    shown = "".join(c if c.isprintable() and c not in '"\\' else f"%{ord(c):02x}" for c in name)
    assert f'"{shown}": memory cgroup' in line.text
