# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What directives do in an httpd that runs, one by one; and what is refused or dumped of them
without one. Of what they are there for, other tests have more."""
import os
import re

import pytest

from shim import Shim
from test_guard import run_in
from test_history import wait_for_note

pytestmark = pytest.mark.any_mpm


def dump(server, conf):
    """What "httpd -t -D DUMP_OOMGUARD" says of a configuration without the shipped one."""
    server.own = ("oom",)
    server.write_conf(server.inst.load_own("oomguard") + conf)
    status, said = server.run("-t", "-D", "DUMP_OOMGUARD")
    assert status == 0, said
    return said


# --- What is refused.

@pytest.mark.parametrize("conf, says", [
    ("OOMGuardHistory |/bin/cat", "there are no pipes here"),
    ('OOMGuardHistory ""', "takes one argument, a file, relative to ServerRoot, or off"),
    ('OOMGuardState ""', "takes one argument, a file, relative to DefaultRuntimeDir, or off"),
    ("OOMGuardHistory a b", "OOMGuardHistory takes one argument"),
    ("<VirtualHost *>\nOOMGuardState x\n</VirtualHost>", "cannot occur within"),
    ("<VirtualHost *>\nOOMGuardHistory x\n</VirtualHost>", "cannot occur within"),
    ("<Location />\nOOMGuardLogQuery On\n</Location>", "not allowed"),
])
def test_what_makes_no_sense_is_refused(httpd, conf, says):
    status, said = httpd(start=False, conf=conf + "\n").run("-t")
    assert status == 1 and says in said, said


# --- What is dumped.

def test_defaults_are_dumped(httpd):
    server = httpd(start=False)
    assert dump(server, "").startswith(f"""OOM guard: on
  watches: auto
  state: {server.root}/oomguard.state
  history: off
  journal: off
  routes: on
  queries: not told
  backend: "php-fpm*"
  score of master: relative -900
  score of worker: relative 200
  score of helper: relative 0
""")
    assert dump(server, "OOMGuard Off\n").startswith("OOM guard: off\nSyntax OK")


def test_what_is_not_the_default_is_dumped(httpd):
    said = dump(httpd(start=False), """OOMGuardWatch counter kmsg
OOMGuardState /a/state
OOMGuardHistory /a/history
OOMGuardRoutes Off
OOMGuardLogQuery On
OOMGuardBackend "a*" b
OOMGuardBackend c
OOMGuardScore master absolute 5
OOMGuardScore worker 6
OOMGuardScore helper relative -7
OOMGuardScore process "x?" absolute 8
OOMGuardScore process [a-z] 9
""")
    assert said.startswith("""OOM guard: on
  watches: kmsg counter
  state: /a/state
  history: /a/history
  journal: off
  routes: off
  queries: told
  backend: "a*"
  backend: "b"
  backend: "c"
  score of master: absolute 5
  score of worker: relative 6
  score of helper: relative -7
  score of process "x?": absolute 8
  score of process "[a-z]": relative 9
"""), said


def test_what_a_host_has_of_its_own_is_dumped(httpd):
    server = httpd(start=False)
    hosts = """OOMGuardRoute /main
<VirtualHost *>
ServerName one.example
OOMGuardLogQuery On
OOMGuardRoute /own "mine"
OOMGuardRoute "expr=%{HTTP_HOST}"
</VirtualHost>
<VirtualHost *>
ServerName two.example
OOMGuard Off
OOMGuardLogQuery On
</VirtualHost>
<VirtualHost *>
ServerName same.example
OOMGuardLogQuery Off
</VirtualHost>
"""
    said = dump(server, hosts)
    at = re.escape(f"({server.conf_path}:") + r"\d+\)"
    wanted = [rf"  requests of two\.example {at} are not remembered",
              rf"  queries of one\.example {at}: told",
              rf"  before these routes, those of one\.example {at}:",
              r'  route: "/own" is "mine"', r'  route: "expr=%\{HTTP_HOST\}"']
    of_hosts = said[said.index("  score of helper"):].splitlines()[1:-1]
    assert len(of_hosts) == len(wanted), said
    for line, pattern in zip(of_hosts, wanted):
        assert re.fullmatch(pattern, line), line
    assert '  route: "/main" is "/main"\n' in said
    said = dump(server, "OOMGuardLogQuery On\n" + hosts)
    assert "one.example" not in said.split("before")[0]
    assert re.search(r"  queries of same\.example \(.*\): not told\n", said), said
    assert "told" not in dump(server, "OOMGuardBackend none\n").replace("not told", "")


# --- The state.

@pytest.mark.parametrize("name, there", [("own.state", "own.state"),
                                         ("{root}/own/state", "own/state")])
def test_a_state_of_its_own_name(httpd, name, there):
    """By which the next httpd knows of this one."""
    server = httpd(start=False)
    os.mkdir(f"{server.root}/own")
    server.write_conf(f"OOMGuardState {name.format(root=server.root)}\n")
    server.start()
    wait_for_note(server, there)
    assert not os.path.exists(f"{server.root}/oomguard.state")
    before = server.master_pid
    server.kill()
    server.expect("OG0110", times=1)
    server.expect("AH00098", times=1)  # a PidFile is left
    server.launch()
    assert f"master {before}, did not stop" in server.errors("OG0110")[0].text


# --- Hosts, queries, routes.

def in_flight(server, host, path):
    """Asks for it, and says what the status has of it meanwhile."""
    answer = server.open(path, headers={"Host": host})
    assert answer.readline()

    def found():
        return [r for w in server.status()["workers"] for r in w["requests"]
                if (r["path"] or "").startswith("/oom")]

    (request,) = server.wait_for(found, what="the request")
    answer.close()
    server.wait_for(lambda: not found(), what="its end")
    return request


@pytest.mark.parametrize("main, own", [("Off", "On"), ("On", "Off")])
def test_queries_host_by_host(httpd, main, own):
    server = httpd(start=False)
    server.write_conf(f"""OOMGuardLogQuery {main}
<VirtualHost *>
ServerName as-main.example
</VirtualHost>
<VirtualHost *>
ServerName other.example
OOMGuardLogQuery {own}
</VirtualHost>
""")
    server.start()
    for host, query in (("as-main.example", main), ("other.example", own)):
        request = in_flight(server, host, "/oom?size=1M&hold=60")
        assert request["vhost"] == host
        assert request["path"] == "/oom" + ("?size=1M&hold=60" if query == "On" else "")


def test_an_expression_without_a_value(httpd):
    """Of one that fails a message says so each time; the next rule is asked, as where there is
    none."""
    server = httpd(conf="""OOMGuardRoute "expr=%{file:/nonexistent}"
OOMGuardRoute "expr=%{req:X-Route}"
OOMGuardRoute "/a/**" "next"
""")
    server.expect("OG0402")
    server.expect("^\\[client .* Evaluation of expression from .* failed: Cannot open file")
    for path in ("/a/b", "/a/c"):
        assert server.get(path).status == 404
    assert server.get("/a/d", headers={"X-Route": "mine"}).status == 404
    server.wait_for(lambda: {r["pattern"]: r["requests"] for r in server.status()["routes"]
                             if r["pattern"] in ("next", "mine")} == {"next": 2, "mine": 1},
                    what="the routes")
    for line in server.wait_for_error("OG0402", count=3):
        assert line.level == "warn"
        assert ('OOMGuardRoute "expr=%{file:/nonexistent}" has no value: Cannot open file'
                in line.text)


# --- Backends.

BACKEND = """
import os, socket, sys
with open("/proc/self/comm", "w") as f:
    f.write(sys.argv[1])
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2] + ".new")
os.chmod(sys.argv[2] + ".new", 0o777)
listener.listen()
os.rename(sys.argv[2] + ".new", sys.argv[2])
while True:
    client = listener.accept()[0]
    request = client.recv(65536)
    if b"/eat" in request:
        eaten = [b"x" * (1 << 20) for _ in range(1 << 20)]
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    client.close()
"""


@pytest.mark.parametrize("conf, is_one", [
    ("OOMGuardBackend none-such*\nOOMGuardBackend [a-c]?-{port}\n", True),
    ("OOMGuardBackend other be-{port}*\n", True),
    ("OOMGuardBackend be-{port}\nOOMGuardBackend none\n", False)])
def test_who_works_for_proxied_requests(httpd, conf, is_one):
    """Its kill is told with the request; of another process in the cgroup it is not."""
    server = httpd(start=False, modules=("proxy", "proxy_http"))
    name, sock = f"be-{server.port}", f"{server.root}/backend"
    server.write_conf(conf.format(port=server.port)
                      + f'ProxyPass /be "unix:{sock}|http://localhost/"\n')
    shim = Shim(server, "looked")
    server.start()
    backend = run_in(server, "/usr/bin/python3", "-c", BACKEND, name, sock)
    try:
        server.wait_for(lambda: os.path.exists(sock), what="the backend")
        assert server.get("/be/ok").status == 200
        server.wait_for(lambda: shim.count("looked") > 0, what="a look for backends")
        tag = "OG0112" if is_one else "OG0102"
        server.expect(tag, times=1)
        server.expect("AH0110[0-9]|AH01097|AH00898|AH01114|AH01102")
        assert server.kill_by("/be/eat").status == 502
        (line,) = server.wait_for_error(tag)
        said = rf'the kernel killed {"backend" if is_one else "process"} {backend.pid} "{name}": '
        assert re.search(said, line.text), line.text
        if is_one:
            assert line.level == "crit"
            assert re.search(r'; request "GET" "/be/eat" vhost "localhost" client "127\.0\.0\.1" '
                             r"for \d+\.\d+ s \(likely: such a process works for no other\); its "
                             r'route "localhost" "proxy-server" "/be/eat" ', line.text), line.text
    finally:
        backend.kill()
        backend.wait()


# --- Scores by name.

LOGGER = """#!/bin/sh
[ -z "$1" ] || echo "$1" >/proc/self/oom_score_adj
while read -r line; do :; done
"""

SCORES = """OOMGuardScore helper absolute 100
OOMGuardScore process "log-*" absolute 300
OOMGuardScore process "log-[a-c]?" absolute 400
OOMGuardScore process log-b2 absolute 500
OOMGuardScore process "?og-c*" relative 350
OOMGuardScore process LOG-A1 absolute 999
"""


def test_the_last_rule_that_fits_a_name_counts(httpd):
    """A score that a process has chosen itself is left alone, unless a rule names it."""
    wanted = {"log-z9": 300, "log-a1": 400, "log-b2": 500, "log-c3": 350, "log-a11": 300,
              "other": 100, "own": 700, "log-own": 300}
    server = httpd(start=False)
    shim = Shim(server, "hurry")
    conf = SCORES
    for name in wanted:
        path = f"{server.root}/{name}"
        with open(path, "w") as f:
            f.write(LOGGER)
        os.chmod(path, 0o755)
        conf += f'CustomLog "|{path}{" 700" if name.endswith("own") else ""}" "%r"\n'
    server.write_conf(conf)
    server.start()

    def scores():
        return {p.name: server.oom_score_adj(p.pid) for p in server.children()
                if p.name in wanted}

    server.wait_for(lambda: scores() == wanted, what=f"{wanted}, not {scores()}")
    shim.looks_around()
    assert scores() == wanted
