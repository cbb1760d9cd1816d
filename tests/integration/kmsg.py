# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The kernel's log, as a bare reader sees it."""
import os
import re
from collections import namedtuple

Kill = namedtuple("Kill", "pid name cgroup text usec")


class Kmsg:
    """The kernel's own records of kills from now on. cgroup is None where the header of the
    report is missing: the kernel limits how many of those it prints."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)
        self._header = None
        self._kills = []

    def kills(self):
        while True:
            try:
                record = os.read(self.fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return list(self._kills)
            except BrokenPipeError:  # overwritten before it was read
                self._header = None
                continue
            head, _, text = record.partition(";")
            priority, _, usec = head.split(",")[:3]
            if int(priority) < 8:
                self._take(text.split("\n")[0], int(usec))

    def _take(self, text, usec):
        header = (re.match(r"oom-kill:.*,task_memcg=([^,]*),task=.*,pid=(\d+),uid=", text)
                  or re.match(r"Task in (\S+) killed()", text))  # before Linux 5.0
        killed = re.match(r".*?Killed process (\d+),? .*?\((.*?)\)", text)
        if header:
            self._header = header
        elif killed:
            cgroup = self._header and self._header[2] in ("", killed[1]) and self._header[1]
            self._kills.append(Kill(int(killed[1]), killed[2], cgroup or None, text, usec))
            self._header = None

    def close(self):
        os.close(self.fd)
