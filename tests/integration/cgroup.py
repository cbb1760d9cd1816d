# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A memory cgroup with a limit, version 1 or 2. What eats memory runs in one, or not."""
import os
import signal
import time

MIB = 1 << 20


class CgroupError(Exception):
    """No cgroup that limits memory can be had; the text says why."""


def find_root(mountinfo="/proc/self/mountinfo"):
    """(version, folder) of the memory hierarchy, as far as it is mounted here."""
    found = None
    with open(mountinfo) as f:
        for line in f:
            before, _, after = line.partition(" - ")
            where = before.split()[4]
            fstype, _, options = after.split(maxsplit=2)
            if fstype == "cgroup" and "memory" in options.strip().split(","):
                return 1, where
            if fstype == "cgroup2" and "memory" in _words(where + "/cgroup.controllers"):
                found = 2, where
    if found is None:
        raise CgroupError("no memory cgroup hierarchy is mounted here")
    return found


def _words(path):
    try:
        with open(path) as f:
            return f.read().split()
    except OSError:
        return []


class Cgroup:
    def __init__(self, name, limit_mib):
        self.version, root = find_root()
        self.name = "/" + name  # as the kernel's log has it, unless this is a container
        self.path = os.path.join(root, name)
        if self.version == 2 and "memory" not in _words(root + "/cgroup.subtree_control"):
            try:
                with open(root + "/cgroup.subtree_control", "w") as f:
                    f.write("+memory")
            except OSError as e:
                raise CgroupError(f"{root} hands no memory controller on: {e}")
        try:
            os.mkdir(self.path)
        except OSError as e:
            raise CgroupError(f"cannot make {self.path}: {e}")
        try:
            self.set_limit(limit_mib)
        except (OSError, CgroupError) as e:
            os.rmdir(self.path)
            raise CgroupError(f"{self.path} takes no limit: {e}")

    def _v(self, one, two):
        return one if self.version == 1 else two

    def read(self, name):
        with open(os.path.join(self.path, name)) as f:
            return f.read()

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w") as f:
            f.write(str(text))

    def set_limit(self, mib):
        limit = self._v("memory.limit_in_bytes", "memory.max")
        self.write(limit, mib * MIB)
        if int(self.read(limit)) != mib * MIB:
            raise CgroupError("the limit was written but is not there")
        # Swap is shut off: a worker that is swapped out is not killed.
        with open("/proc/swaps") as f:
            swaps = len(f.readlines()) > 1
        try:
            self.write(self._v("memory.swappiness", "memory.swap.max"), 0)
        except OSError:
            if swaps:
                raise

    def inside(self, argv):
        """The command that runs this one in it: inside before it is what it is, so that not a
        page of it is charged elsewhere."""
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.path, *argv]

    def procs(self):
        """The pids in it; [] if it is gone."""
        try:
            return sorted(set(map(int, self.read("cgroup.procs").split())))
        except FileNotFoundError:
            return []

    def usage(self):
        return int(self.read(self._v("memory.usage_in_bytes", "memory.current")))

    def oom_kills(self):
        for line in self.read(self._v("memory.oom_control", "memory.events")).splitlines():
            key, value = line.split()
            if key == "oom_kill":
                return int(value)
        raise CgroupError("this kernel does not count kills")

    def stat(self):
        """memory.stat as a dict. The keys are the kernel's own: they differ between the
        versions (rss, cache, shmem; anon, file, shmem)."""
        return {k: int(v) for k, v in
                (line.split() for line in self.read("memory.stat").splitlines())}

    def anon(self):
        return self.stat()[self._v("rss", "anon")]

    def file(self):
        """Page cache, shared memory included."""
        return self.stat()[self._v("cache", "file")]

    def kill_all(self):
        for pid in self.procs():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def remove(self, timeout=5):
        """Removes it. The last processes may still be on their way out."""
        end = time.monotonic() + timeout
        while os.path.isdir(self.path):
            try:
                os.rmdir(self.path)
            except OSError as e:
                if time.monotonic() > end:
                    raise CgroupError(f"cannot remove {self.path}: {e}; in it: {self.procs()}")
                time.sleep(0.05)
