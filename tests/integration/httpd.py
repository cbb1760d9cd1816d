# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A private httpd for one test: own ServerRoot, own port on loopback, own memory cgroup. When
it stops, nothing may be left of it, and its error log is audited."""
import functools
import glob
import http.client
import os
import pwd
import grp
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import namedtuple

import errorlog
from cgroup import Cgroup

CAP_SYS_RESOURCE = 24
MPMS = ("prefork", "worker", "event")

SMALL = {
    "prefork": """StartServers 2
MinSpareServers 2
MaxSpareServers 3
ServerLimit 8
MaxRequestWorkers 8
""",
    "worker": """StartServers 2
ServerLimit 12
ThreadLimit 8
ThreadsPerChild 4
MinSpareThreads 8
MaxSpareThreads 16
MaxRequestWorkers 16
""",
}
SMALL["event"] = SMALL["worker"]


def many_workers(mpm, count):
    """So many processes at once, each for a few requests."""
    if mpm == "prefork":
        return f"""StartServers {count}
MinSpareServers {count}
MaxSpareServers {count + 20}
ServerLimit {2 * count}
MaxRequestWorkers {2 * count}
"""
    return f"""StartServers {count}
ServerLimit {3 * count}
ThreadLimit 2
ThreadsPerChild 2
MinSpareThreads {2 * count}
MaxSpareThreads {2 * count + 40}
MaxRequestWorkers {4 * count}
"""


def start_behind(server, installation, command):
    """Starts it by a shell's command, of which "$@" is httpd with its arguments."""
    wrapper = f"{server.root}/wrapper"
    with open(wrapper, "w") as f:
        f.write(f'#!/bin/sh\nset -- {installation.httpd} "$@"\n{command}\n')
    os.chmod(wrapper, 0o755)
    server.inst = Installation(installation.build, installation.source)
    server.inst.httpd = wrapper
    return server.start()


Process = namedtuple("Process", "pid ppid name uid cmdline")


# --- What is installed.

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

    @functools.lru_cache(maxsize=None)
    def load_test_module(self, module):
        """The line that loads a module of the tests, mod_*.c beside this file."""
        folder = f"{self.build}/tests/integration"
        os.makedirs(folder, exist_ok=True)
        shutil.copy(f"{os.path.dirname(__file__)}/mod_{module}.c", folder)
        subprocess.run([self.apxs, "-c", f"mod_{module}.c"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        return f"LoadModule {module}_module {folder}/.libs/mod_{module}.so\n"


def worker_account():
    for name in ("www-data", "apache", "daemon", "nobody"):
        try:
            user = pwd.getpwnam(name)
            return name, grp.getgrgid(user.pw_gid).gr_name
        except KeyError:
            continue
    raise RuntimeError("no user to run workers as")


def may_lower_scores():
    """May this process, and so httpd's master, lower an oom_score_adj?"""
    with open("/proc/self/status") as f:
        caps = int(re.search(r"^CapEff:\s*(\w+)", f.read(), re.M)[1], 16)
    return bool(caps >> CAP_SYS_RESOURCE & 1)


def make_root():
    """A new ServerRoot that workers may pass through."""
    root = tempfile.mkdtemp(prefix="mod_oom-test.")
    os.chmod(root, 0o755)
    return root


# --- Looking at processes.

def process(pid):
    """None if there is none any more."""
    try:
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        with open(f"/proc/{pid}/cmdline") as f:
            cmdline = f.read().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if status["State"].lstrip()[0] in "ZX":
        return None
    return Process(pid, int(status["PPid"]), status["Name"], int(status["Uid"].split()[0]),
                   cmdline)


def oom_score_adj(pid):
    with open(f"/proc/{pid}/oom_score_adj") as f:
        return int(f.read())


def proc_status(pid):
    """VmRSS, RssAnon and the like in bytes."""
    with open(f"/proc/{pid}/status") as f:
        return {m[1]: int(m[2]) * 1024 for m in
                (re.match(r"(\w+):\s+(\d+) kB", line) for line in f) if m}


def _listens(pid, inodes):
    try:
        return any(os.readlink(f) in inodes for f in glob.glob(f"/proc/{pid}/fd/*"))
    except OSError:
        return False


def ipc_objects():
    """What outlives its maker: SysV shared memory and semaphores, POSIX shared memory.
    {name: maker's pid or None}."""
    found = {f.path: None for f in os.scandir("/dev/shm") if f.is_file()}
    for kind in ("shm", "sem"):
        with open(f"/proc/sysvipc/{kind}") as f:
            head = f.readline().split()
            for line in f:
                row = dict(zip(head, line.split()))
                found[f"{kind} {row[kind + 'id']}"] = int(row.get("cpid", 0)) or None
    return found


# --- The kernel's log.

Kill = namedtuple("Kill", "pid name cgroup text usec")


class Kmsg:
    """The kernel's own records of kills from now on. cgroup is None where the header of the
    report is missing: the kernel limits how many of those it prints."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)
        self._cgroup = None
        self._kills = []

    def kills(self):
        while True:
            try:
                record = os.read(self.fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return list(self._kills)
            except BrokenPipeError:
                continue
            head, _, text = record.partition(";")
            priority, _, usec = head.split(",")[:3]
            if int(priority) < 8:
                self._take(text.split("\n")[0], int(usec))

    def _take(self, text, usec):
        header = re.match(r"oom-kill:.*,task_memcg=([^,]*),task=|Task in (\S+) killed", text)
        killed = re.match(r".*?Killed process (\d+),? .*?\((.*?)\)", text)
        if header:
            self._cgroup = header[1] or header[2]
        elif killed:
            self._kills.append(Kill(int(killed[1]), killed[2], self._cgroup, text, usec))
            self._cgroup = None

    def close(self):
        os.close(self.fd)


# --- Asking.

class Response:
    """An answer, read as it comes. error is what broke it off, or None; status is None if
    there was no answer at all."""

    def __init__(self, port, path, headers, timeout, method):
        self.status, self.headers, self.body, self.error = None, {}, b"", None
        self.conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._answer = None
        try:
            self.conn.request(method, path, headers=headers or {})
            self._answer = self.conn.getresponse()
            self.status = self._answer.status
            self.headers = {k.lower(): v for k, v in self._answer.getheaders()}
        except (OSError, http.client.HTTPException) as e:
            self._broken(e)

    def _broken(self, e):
        self.error = e
        if isinstance(e, http.client.IncompleteRead):
            self.body += e.partial
        self.close()

    def readline(self):
        """The next line, b"" at the end."""
        if self._answer is None:
            return b""
        try:
            line = self._answer.readline()
        except (OSError, http.client.HTTPException) as e:
            self._broken(e)
            return b""
        self.body += line
        # http.client takes a stream that ends between two chunks for a whole one.
        if not line.endswith(b"\n") and self._answer.chunked:
            self._broken(http.client.IncompleteRead(b""))
        if not line:
            self.close()
        return line

    def __iter__(self):
        return iter(self.readline, b"")

    def read(self):
        if self._answer is not None:
            try:
                self.body += self._answer.read()
            except (OSError, http.client.HTTPException) as e:
                self._broken(e)
            self.close()
        return self

    def close(self):
        self._answer = None
        self.conn.close()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class Httpd:
    """conf: what the test adds to the base. modules: of httpd, besides the few of the base.
    own: of ours, each with its conf.d file, unless shipped_conf is false. error_log: the
    value of the ErrorLog directive; whatever it writes must be called error_log*."""

    count = 0

    def __init__(self, installation, root, mpm, conf="", modules=(), own=("oom", "oomguard"),
                 limit_mib=128, log_level="warn", error_log=None, shipped_conf=True,
                 small=None, daemon=False, env=None):
        self.inst, self.root, self.mpm = installation, str(root), mpm
        self.conf, self.modules, self.own = conf, modules, own
        self.log_level, self.shipped_conf = log_level, shipped_conf
        self.error_log = error_log or f"{self.root}/error_log"
        self.small = SMALL[mpm] if small is None else small
        self.daemon, self.env = daemon, env
        self.limit_mib = limit_mib
        self.expectations = []
        self.cgroup = self.proc = self.kmsg = self.master_pid = None
        self.port = self._free_port()
        self.conf_path = f"{self.root}/httpd.conf"
        self.docroot = f"{self.root}/htdocs"
        os.makedirs(self.docroot)
        for d in (self.root, self.docroot):
            os.chmod(d, 0o755)
        with open(f"{self.docroot}/index.html", "w") as f:
            f.write("I am still here.\n".ljust(1024, "."))
        self.write_conf()
        if "oomguard" in own and not may_lower_scores():
            # Said once wherever the right to lower a score is missing.
            self.expect("OG0201", optional=True)
        # event's own race: a connection that becomes idle while the listener thread ends.
        self.expect(r"^\(9\)Bad file descriptor: AH030\d\d: .*pollset", optional=True)
        # event's own race: at a stop the child closes connections that a thread is closing.
        self.expect(r"^\(9\)Bad file descriptor: AH00468: ", optional=True)
        # The same race where the connection's memory is gone: it crashes.
        self.expect(r"^OG0108: worker \d+.* crashed by signal (6|11); .*; no request in flight",
                    optional=True)
        # What httpd itself says of the third kill in a row.
        self.expect("AH1039[23]: ", optional=True)
        # event says so while those of before a graceful restart still serve.
        self.expect("AH03490", optional=True)

    @staticmethod
    def _free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    # --- Configuration.

    def write_conf(self, conf=None):
        """Writes httpd.conf, with another text for conf if given: for the next restart."""
        if conf is not None:
            self.conf = conf
        user, group = worker_account()
        text = f"""ServerRoot {self.root}
ServerName localhost
Listen 127.0.0.1:{self.port}
PidFile {self.root}/httpd.pid
DefaultRuntimeDir {self.root}
ErrorLog "{self.error_log}"
LogLevel {self.log_level}
User {user}
Group {group}
DocumentRoot {self.docroot}
"""
        for module in (f"mpm_{self.mpm}", "unixd", "log_config", "authz_core", "authz_host",
                       "dir", *self.modules):
            text += self.inst.load(module)
        text += self.small
        text += f"<Directory {self.docroot}>\nRequire all granted\n</Directory>\n"
        for module in self.own:
            text += self.inst.load_own(module)
        if self.shipped_conf:
            for module in self.own:
                text += f"Include {self.inst.source}/conf.d/{module}.conf\n"
        with open(self.conf_path, "w") as f:
            f.write(text + self.conf)

    def run(self, *args):
        """httpd in the foreground with other arguments, such as -t: (status, what it said)."""
        done = subprocess.run([self.inst.httpd, "-d", self.root, "-f", self.conf_path, *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20, text=True)
        return done.returncode, done.stdout

    # --- Life.

    def start(self):
        Httpd.count += 1
        self._ipc = ipc_objects()
        self.cgroup = Cgroup(f"mod_oom-test.{os.getpid()}.{Httpd.count}", self.limit_mib)
        self.kmsg = Kmsg()
        command = [self.inst.httpd, "-d", self.root, "-f", self.conf_path]
        command += ["-k", "start"] if self.daemon else ["-DFOREGROUND"]
        with open(f"{self.root}/console", "wb") as console:
            self.proc = subprocess.Popen(self.cgroup.inside(command), stdin=subprocess.DEVNULL, stdout=console,
                                         stderr=console, start_new_session=True, cwd=self.root,
                                         env={**os.environ, "LC_ALL": "C", **(self.env or {})})
        if self.daemon:
            self.proc.wait(20)
            if self.proc.returncode == 0:
                self.master_pid = int(self.wait_for(self._read_pid, what="a PidFile"))
        else:
            self.master_pid = self.proc.pid
        self.wait_for(lambda: self._died() or self._answers(), timeout=20, what="an answer")
        if self._died():
            raise RuntimeError("httpd did not start:\n" + self.logs())
        return self

    def _read_pid(self):
        try:
            with open(f"{self.root}/httpd.pid") as f:
                return f.read().strip()
        except FileNotFoundError:
            return None

    def _died(self):
        if self.daemon:
            return self.master_pid is None or process(self.master_pid) is None
        return self.proc.poll() is not None

    def _answers(self):
        return self.get("/index.html", timeout=2).status is not None

    def send(self, sig):
        os.kill(self.master_pid, sig)

    def _restart(self, sig):
        resuming = "resuming normal operations"
        seen = sum(resuming in line.text for line in self.errors())
        self.send(sig)
        self.wait_for(lambda: sum(resuming in line.text for line in self.errors()) > seen,
                      timeout=20, what="the restart")
        self.wait_for(self._answers, what="an answer after the restart")

    def graceful(self):
        self._restart(signal.SIGUSR1)

    def restart(self):
        self._restart(signal.SIGHUP)

    def stop(self, sig=signal.SIGTERM, timeout=15):
        """Stops it, and says what is left behind: a sentence each, [] if all is well."""
        wrong = []
        if self.cgroup is None:
            return wrong
        if self.master_pid is not None and not self._died():
            self.send(sig)
            try:
                self.wait_for(self._died, timeout=timeout, what="the end of the master")
            except AssertionError as e:
                wrong.append(str(e))
        wrong += self._left_behind()
        self.cgroup.kill_all()
        if not self.daemon:
            self.proc.wait(5)
        try:
            self.cgroup.remove()
        except Exception as e:
            wrong.append(str(e))
        self.kmsg.close()
        self.cgroup = None
        return wrong

    def _left_behind(self):
        wrong = []
        try:
            self.wait_for(lambda: not self.processes(), timeout=3, what="")
        except AssertionError:
            wrong += [f"left behind: {p}" for p in self.processes()]
        for name, maker in ipc_objects().items():
            # Others may make some meanwhile, but they live.
            if name not in self._ipc and (maker is None or process(maker) is None):
                wrong.append(f"left behind: {name}")
        if os.path.exists(f"{self.root}/httpd.pid"):
            wrong.append("left behind: the PidFile")
        return wrong

    # --- Its processes.

    def processes(self):
        """All that is in the cgroup."""
        return [p for p in map(process, self.cgroup.procs()) if p is not None]

    def children(self):
        """The master's children, of whatever kind."""
        return [p for p in self.processes() if p.ppid == self.master_pid]

    def spare_worker(self):
        """Where httpd keeps two workers, waits for the second one, though not for long. The kernel
        may kill again before the first one's memory is free, and where no worker is left, it
        takes the master, whose score can't be lowered here."""
        end = time.monotonic() + (3 if self.small == SMALL[self.mpm] else 0)
        while len(self.workers()) < 2 and time.monotonic() < end:
            time.sleep(0.05)

    def workers(self):
        """Those children that have the listening socket open and are no longer root: not
        helpers, nor workers that are just being born or on their way out."""
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f][1:]
        inodes = {f"socket:[{r[9]}]" for r in rows
                  if r[3] == "0A" and r[1] == f"0100007F:{self.port:04X}"}
        return [p.pid for p in self.children() if p.uid != 0 and _listens(p.pid, inodes)]

    def oom_score_adj(self, pid=None):
        return oom_score_adj(self.master_pid if pid is None else pid)

    def kernel_kills(self):
        """The kernel's reports of kills in our cgroup since the start."""
        return [k for k in self.kmsg.kills()
                if k.cgroup is None or k.cgroup.endswith(self.cgroup.name)]

    # --- Asking it.

    def open(self, path="/index.html", headers=None, timeout=10, method="GET"):
        """A request whose answer is read as it comes: iterate over it for lines."""
        return Response(self.port, path, headers, timeout, method)

    def get(self, path="/index.html", headers=None, timeout=10, method="GET"):
        return self.open(path, headers, timeout, method).read()

    # --- Its logs.

    def expect(self, what, times=None, optional=False):
        """Declares a line of the error log: a tag, or a regular expression."""
        self.expectations.append(errorlog.Expectation(what, times, optional))

    def errors(self, tag=None):
        """The lines of the error log, or those with that tag."""
        lines = errorlog.parse(self._read_logs())
        return [line for line in lines if tag is None or line.tag == tag]

    def _read_logs(self):
        text = ""
        for path in sorted(glob.glob(f"{self.root}/error_log*"), key=os.path.getmtime):
            with open(path, errors="replace") as f:
                text += f.read()
        return text

    def _console(self):
        try:
            with open(f"{self.root}/console", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def logs(self):
        return f"--- console\n{self._console()}--- error log\n{self._read_logs()}"

    def audit(self):
        return errorlog.audit(errorlog.parse(self._console()) + self.errors(),
                              self.expectations)

    def wait_for(self, predicate, timeout=10, what="a condition"):
        """What predicate returns, as soon as that is true."""
        end = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            assert time.monotonic() < end, f"waited {timeout} s in vain for {what}"
            time.sleep(0.02)

    def wait_for_error(self, tag, count=1, timeout=5):
        """The lines with that tag, as soon as there are so many."""
        self.wait_for(lambda: len(self.errors(tag)) >= count, timeout,
                      f"{count} line(s) with {tag}; there are {len(self.errors(tag))}")
        return self.errors(tag)
