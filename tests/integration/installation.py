# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is installed: the httpd that apxs belongs to, and the build of ours."""
import fcntl
import filecmp
import functools
import grp
import os
import pwd
import re
import shutil
import subprocess


class Installation:
    """The httpd that apxs belongs to, and the build of ours to be tested."""

    def __init__(self, build, source):
        self.build, self.source = build, source
        names = [os.environ.get("APXS"), "vendor-apxs", "apxs", "apxs2", "/usr/sbin/apxs"]
        self.apxs = next((p for p in (shutil.which(n) for n in names if n) if p), None)
        if self.apxs is None:
            raise RuntimeError("no apxs found: install httpd-devel (apache2-dev on Debian)")
        self.modules = self._query("LIBEXECDIR")
        self.httpd = os.path.join(self._query("SBINDIR"), self._query("PROGNAME"))
        # rotatelogs and its like are beside httpd or in PATH.
        self.sbin = os.path.dirname(self.httpd)
        out = subprocess.run([self.httpd, "-l"], stdout=subprocess.PIPE, check=True, text=True)
        self.static = set(re.findall(r"\b(?:mod_)?(\w+)\.c\b", out.stdout))

    def _query(self, name):
        return subprocess.run([self.apxs, "-q", name], stdout=subprocess.PIPE, check=True,
                              text=True).stdout.strip()

    def program(self, name):
        """A program that comes with httpd, such as rotatelogs."""
        found = shutil.which(name, path=os.pathsep.join(
            [self.sbin, "/usr/bin", "/usr/sbin", os.environ.get("PATH", "")]))
        if found is None:
            raise RuntimeError(f"httpd's {name} not found")
        return found

    def has(self, module):
        return module in self.static or os.path.exists(self._file(module))

    def _file(self, module):
        return f"{self.modules}/mod_{module}.so"

    def load(self, module):
        """The line that loads one of httpd's modules; none if it is compiled in."""
        if module in self.static:
            return ""
        return f"LoadModule {module}_module {self._file(module)}\n"

    def load_own(self, module):
        path = f"{self.build}/.libs/mod_{module}.so"
        if not os.path.exists(path):
            raise RuntimeError(f"{path} is not built")
        return f"LoadModule {module}_module {path}\n"

    def load_test_module(self, module):
        """The line that loads a module of the tests, mod_*.c beside this file."""
        source = f"mod_{module}.c"
        made = self._made(source, f".libs/mod_{module}.so", self.apxs, "-c", source)
        return f"LoadModule {module}_module {made}\n"

    def compiled(self, source):
        """A library that can be preloaded, of a C file beside this one."""
        name = source.replace(".c", ".so")
        return self._made(source, name, "cc", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC",
                          "-shared", "-o", name, source, "-ldl")

    @functools.lru_cache(maxsize=None)
    def _made(self, source, made, *command):
        """What the command makes of a file beside this one, below the build; its path."""
        folder = f"{self.build}/tests/integration"
        os.makedirs(folder, exist_ok=True)
        here, made = os.path.dirname(__file__), f"{folder}/{made}"
        with open(f"{folder}/lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other tests may want it at the same time
            if not (os.path.exists(made)
                    and filecmp.cmp(f"{here}/{source}", f"{folder}/{source}", shallow=False)):
                shutil.copy(f"{here}/{source}", folder)
                subprocess.run(["rm", "-f", made], check=True)
                subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return made


def worker_account():
    for name in ("www-data", "apache", "daemon", "nobody"):
        try:
            user = pwd.getpwnam(name)
            return name, grp.getgrgid(user.pw_gid).gr_name
        except KeyError:
            continue
    raise RuntimeError("no user to run workers as")
