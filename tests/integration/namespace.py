# Licensed under the Apache License, Version 2.0; see LICENSE.
"""An IPC and a mount namespace for one httpd, so that what it leaves behind there is its own,
whatever else the machine does."""
import subprocess


class NamespaceError(Exception):
    """None can be made here."""


class Namespace:
    def __init__(self):
        # It lives until its standard input ends.
        self._holder = subprocess.Popen(
            ["unshare", "-i", "-m", "sh", "-c",
             "mount -t tmpfs none /dev/shm && echo made && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = self._holder.stdout.readline()
        if said != "made\n":
            self.remove()
            raise NamespaceError(f"no namespaces can be made here: {said.strip()}")

    def inside(self, argv):
        """The command that runs this one in it, as the same process. Its root is that of the
        tests, which may be in a chroot, and not that of the namespace."""
        return ["nsenter", "-t", str(self._holder.pid), "-i", "-m", "-r", "--", *argv]

    def run(self, *argv):
        """Runs a command in it, and returns what that prints."""
        return subprocess.run(self.inside(argv), stdout=subprocess.PIPE, check=True,
                              text=True).stdout

    def objects(self):
        """Shared memory and semaphores that outlive their maker, SysV and POSIX."""
        found = self.run("find", "/dev/shm", "-type", "f").splitlines()
        for kind in ("shm", "sem"):
            head, *rows = self.run("cat", f"/proc/sysvipc/{kind}").splitlines()
            at = head.split().index(f"{kind}id")
            found += [f"{kind} {row.split()[at]}" for row in rows]
        return sorted(found)

    def remove(self):
        self._holder.stdin.close()
        self._holder.wait(5)
        self._holder.stdout.close()
