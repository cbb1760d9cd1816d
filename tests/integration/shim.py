# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Faults of the system on purpose, for mod_oomguard alone: see shim.c."""
import os


class Shim:
    """Of a server that is not started yet. Its switches are off, or as named."""

    def __init__(self, server, *switches):
        self.server, self.folder = server, f"{server.root}/shim"
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)  # some go off by themselves, whoever the process is by then
        server.env = {"LD_PRELOAD": server.inst.compiled("shim.c"), "SHIM": self.folder}
        for name in switches:
            self.on(name)

    def _path(self, name):
        return f"{self.folder}/{name}"

    def on(self, name, text=""):
        with open(self._path(f".{name}"), "w") as f:
            f.write(text)
        os.chmod(f.name, 0o666)  # whoever it is by then
        os.rename(f.name, self._path(name))

    def off(self, name):
        os.unlink(self._path(name))

    def is_on(self, name):
        return os.path.exists(self._path(name))

    def count(self, name):
        """Of a switch that counts."""
        return os.path.getsize(self._path(name))

    def set_clock(self, seconds):
        """From here on it stands still there."""
        self.on("clock", str(round(seconds * 1e6)))

    def looks_around(self):
        """Waits until the master, which hurries, has looked around (the monitor's hook)."""
        before = self.count("hurry")
        # It looks at each tenth, httpd's INTERVAL_OF_WRITABLE_PROBES; or sooner, if one ended.
        self.server.wait_for(lambda: self.count("hurry") >= before + 21,
                             what="the master to look around")
