# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Which route took memory, and which one kept it: before a kill and in its line."""
import concurrent.futures
import http.client
import json
import os
import random
import re
import shutil
import subprocess

import pytest

from httpd import STATUS_PATH
from test_guard import eat, line_of, told

MIB = 1 << 20

LEAKS = """<LocationMatch "^/(leak|temp|big)">
SetHandler oom
</LocationMatch>
"""


@pytest.fixture
def guarded(httpd):
    """Makes an httpd with the status page, and paths that leak, and that do not."""
    def make(conf="", limit_mib=256, **options):
        return httpd(conf=LEAKS + conf, limit_mib=limit_mib, **options)
    return make


def route(server, pattern, handler="oom"):
    (found,) = [r for r in server.status()["routes"]
                if (r["handler"], r["pattern"]) == (handler, pattern)]
    return found


def ask(server, path, times, clients=1):
    """So often, by so many at once."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda _: server.get(path, timeout=30).status, range(times)))
    assert answers == [200] * times


def settled(server, pattern, requests, **options):
    """The route, once so many of its requests have ended."""
    def there():
        found = [r for r in server.status()["routes"] if r["pattern"] == pattern]
        return found and found[0]["requests"] >= requests
    server.wait_for(there, what=f"{requests} requests of {pattern}")
    return route(server, pattern, **options)


# mod_oom takes a MiB more than it is asked for while it eats, and gives that back.
SPARE = MIB


def mix(server, clients, **paths):
    """So many requests of each path, in a random order, by so many clients with a connection
    each."""
    order = [path for path, times in paths.items() for _ in range(times)]
    random.Random(1).shuffle(order)
    wrong = []

    def client(mine):
        conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for path in mine:
            try:
                conn.request("GET", path)
                answer = conn.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                conn.close()  # an idle connection that a busy httpd has closed meanwhile
                conn.request("GET", path)
                answer = conn.getresponse()
            answer.read()
            if answer.status != 200:
                wrong.append((path, answer.status))
        conn.close()

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, [order[i::clients] for i in range(clients)]))
    assert not wrong


def ranked_first(server, pattern, each, handler="oom"):
    """The route, which is, and is said to keep about so much a request."""
    said = server.status()["routes"]
    first = said[0]
    assert (first["handler"], first["pattern"]) == (handler, pattern), said[:4]
    assert first["suspicion"] in ("fair", "strong"), said[:4]
    assert each / 3 < first["retained_each"] < each * 3, said[:4]
    for other in said[1:]:
        assert other["suspicion"] in ("unknown", "none", "weak"), said[:4]
    return first


# Thirty-two threads, where there are any.
THREADED = """StartServers 1
ServerLimit 1
ThreadLimit 32
ThreadsPerChild 32
MinSpareThreads 1
MaxSpareThreads 32
MaxRequestWorkers 32
"""


def test_the_culprit_is_ranked_first(guarded, mpm):
    """It leaks in one of a hundred requests; another one takes more and gives it back, which
    leaves the heaps of a threaded worker larger, once each."""
    server = guarded(**({} if mpm == "prefork" else {"small": THREADED}))
    mix(server, 2 if mpm == "prefork" else 8,
        **{"/index.html": 2500, "/temp?size=1M": 2500, "/leak?size=2M&leak=1": 50})
    settled(server, "/leak", 50)
    first = ranked_first(server, "/leak", 2 * MIB)
    assert first["vhost"] == "localhost" and first["requests"] == 50
    assert 50 * 2 * MIB <= first["taken_bytes"] + 50 * MIB  # what a heap has is not taken anew
    assert first["taken_bytes"] < 50 * (2 * MIB + SPARE + MIB / 4)
    assert first["why"].startswith("retains ") and first["why"].endswith(" % of all growth")
    temp = settled(server, "/temp", 2500)
    assert temp["requests"] == 2500
    assert temp["most_bytes"] < MIB + SPARE + MIB / 4
    said = server.status()
    assert said["routes_evicted"] == said["requests_missed"] == 0


def test_a_route_that_kills(guarded):
    """Its past is in the line, and in the history; what it did to the dead is not forgotten."""
    server = guarded(limit_mib=128)
    server.expect("OG0101")
    ask(server, "/leak?size=1M&leak=1", 12)
    settled(server, "/leak", 12)
    kill = eat(server, "/leak")
    text = line_of(server, kill).text
    assert '"GET" "/leak"' in text
    assert re.search(r'; its route "localhost" "oom" "/leak" takes [12]\.\d MiB a request over 12 '
                     r"requests, too few to tell what it retains, 1 kill$", text), text
    said = server.status()
    (told_of,) = [k for k in said["kills"] if k["pid"] == kill.pid]
    assert told_of["event"] == "kill" and told_of["role"] == "worker"
    assert told_of["request"]["path"] == "/leak"
    assert said["routes"][0]["pattern"] == "/leak" and said["routes"][0]["kills"] == 1
    server.wait_for(lambda: route(server, "/leak")["in_flight"] == 0, what="its burial")
    eat(server, "/leak")
    assert told(server)[-1].text.endswith(" too few to tell what it retains, 2 kills")
    server.graceful()
    assert route(server, "/leak")["kills"] == 2


def test_what_a_request_takes_is_seen_while_it_runs(guarded):
    server = guarded()
    answer = server.open("/big?size=20M&hold=600")
    server.wait_for(lambda: route(server, "/big")["in_flight"] == 1, what="it in flight")

    def largest():
        return [r for w in server.status()["workers"] for r in w["requests"] if r["path"] == "/big"]

    server.wait_for(lambda: largest() and (largest()[0]["taken_bytes"] or 0) >= 20 * MIB,
                    what="what it has taken")
    (request,) = largest()
    assert request["handler"] == "oom" and request["client"] == "127.0.0.1"
    assert 20 * MIB <= request["taken_bytes"] < 22 * MIB and request["seconds"] > 0
    answer.close()
    assert settled(server, "/big", 1)["in_flight"] == 0


@pytest.mark.mpms("worker", "event")  # a worker of prefork has one request
def test_of_several_the_largest_is_named(guarded):
    """Not the one that waits for long."""
    server = guarded(small="""StartServers 2
ServerLimit 2
ThreadLimit 8
ThreadsPerChild 8
MinSpareThreads 8
MaxSpareThreads 16
MaxRequestWorkers 16
""", limit_mib=128)
    server.expect("OG0101")
    server.spare_worker()
    waiting = [server.open("/temp?size=1M&hold=20", timeout=30) for _ in range(6)]
    kill = eat(server, "/big?rate=40M")
    text = line_of(server, kill).text
    assert '"GET" "/big"' in text, text
    assert "in flight)" in text and ("likely: " in text or "certain: " in text)
    for answer in waiting:
        answer.close()


@pytest.mark.any_mpm
def test_paths_are_folded(guarded):
    server = guarded("""OOMGuardRoute "/shop/*/cart" "cart"
OOMGuardRoute "/~*/**"
OOMGuardRoute "expr=%{req:X-Route}"
""")
    for path in ("/users/1", "/users/22", "/users/22?x=1", "/shop/a/cart", "/shop/b/cart",
                 "/shop/a/b/cart", "/~me/x", "/a/b/c/d/e/f"):
        assert server.get(path).status == 404
    server.get("/users/1", headers={"X-Route": "mine"})
    wanted = {"/users/{n}": 3, "cart": 2, "/shop/a/b/cart": 1, "/~*/**": 1, "/a/b/c/d/...": 1,
              "mine": 1}
    server.wait_for(lambda: {r["pattern"]: r["requests"] for r in server.status()["routes"]
                             if r["pattern"] in wanted} == wanted, what=f"{wanted}")


@pytest.mark.any_mpm
def test_redirects_and_subrequests_are_of_the_request(guarded):
    """It has the path that was asked for (with DirectoryIndex), and the handler that answers in
    the end; a page that says what went wrong is not what did."""
    server = guarded("""TypesConfig /dev/null
ErrorDocument 404 /temp?size=64K
AddHandler server-parsed .shtml
<Directory />
Options +Includes
</Directory>
<Location "/virtual">
RewriteEngine On
RewriteRule ^ /temp
</Location>
""", modules=("include", "mime", "rewrite"))
    os.mkdir(f"{server.docroot}/folder")
    for name, text in (("folder/index.html", "here"), ("part.html", "part"),
                       ("page.shtml", '<!--#include virtual="/part.html" -->')):
        with open(f"{server.docroot}/{name}", "w") as f:
            f.write(text)
    assert server.get("/folder/").text == "here"
    assert server.get("/missing").status == 404
    assert server.get("/page.shtml").text == "part"
    assert server.get("/virtual/x?size=64K").status == 200
    wanted = {("/folder/index.html", "default-handler"): 1, ("/missing", "default-handler"): 1,
              ("/page.shtml", "default-handler"): 1, ("/virtual/x", "oom"): 1}

    def seen():
        return {(r["pattern"], r["handler"]): r["requests"] for r in server.status()["routes"]
                if r["pattern"] not in (STATUS_PATH, "/index.html") and r["requests"] > 0}

    server.wait_for(lambda: seen() == wanted, what=f"{wanted}, not {seen()}")


def test_a_client_that_goes_away(guarded):
    """Its request is over when httpd is done with it, and not before."""
    server = guarded()
    answer = server.open("/big?size=20M&hold=600")
    server.wait_for(lambda: route(server, "/big")["in_flight"] == 1, what="it in flight")
    answer.close()
    assert settled(server, "/big", 1)["in_flight"] == 0
    assert "/big" not in [r["path"] for w in server.status()["workers"] for r in w["requests"]]


@pytest.mark.any_mpm
def test_a_virtual_host_has_its_own_rules(guarded):
    server = guarded()
    server.write_conf(LEAKS + """OOMGuardRoute "/x/**" "main"
<VirtualHost *>
ServerName one
</VirtualHost>
<VirtualHost *>
ServerName two
OOMGuardRoute "/x/*" "own"
</VirtualHost>
<VirtualHost *>
ServerName three
OOMGuard Off
</VirtualHost>
""")
    server.graceful()
    for host in ("one", "two", "three"):
        for path in ("/x/y", "/x/y/z"):
            server.get(path, headers={"Host": host})
    wanted = {("one", "main"), ("two", "own"), ("two", "main")}
    server.wait_for(lambda: {(r["vhost"], r["pattern"]) for r in server.status()["routes"]
                             if r["pattern"] in ("main", "own", "/x/y")} == wanted,
                    what=f"{wanted}")


@pytest.mark.any_mpm
def test_the_access_log_has_it(guarded):
    server = guarded("""LogFormat "%U taken=%{oomguard-taken}n growth=%{oomguard-growth}n" memory
CustomLog "memory_log" memory
""")
    ask(server, "/leak?size=3M&leak=1", 1)
    ask(server, "/index.html", 40)
    with open(f"{server.root}/memory_log") as f:
        lines = f.read().splitlines()
    (leak,) = [line for line in lines if line.startswith("/leak ")]
    leak = dict(word.split("=") for word in leak.split()[1:])
    assert 3 * MIB <= int(leak["taken"]) < 5 * MIB and 2.5 * MIB < int(leak["growth"]) < 5 * MIB
    assert lines[-1] == "/index.html taken=- growth=-"


@pytest.mark.any_mpm
@pytest.mark.parametrize("query", [False, True])
def test_queries_are_told_only_if_that_is_wanted(guarded, query):
    server = guarded("OOMGuardLogQuery On\n" if query else "")
    server.expect("OG0101")
    text = line_of(server, eat(server, "/big?kind=anon")).text
    assert ('"GET" "/big?kind=anon"' in text) is query
    assert ("kind" in server.get(STATUS_PATH).text) is query


@pytest.mark.any_mpm
def test_the_page_says_no(guarded, httpd):
    server = guarded()
    answer = server.get(f"{STATUS_PATH}?format=xml")
    assert answer.status == 400 and answer.text.startswith("Write ?format=json")
    assert server.get(STATUS_PATH, method="POST").status == 405
    answer = server.get(f"{STATUS_PATH}?format=json")
    assert json.loads(answer.text).keys() == server.status().keys()
    server = httpd(conf="OOMGuard Off\n")
    server.expect("OG0403", times=1)
    assert server.get(STATUS_PATH).status == 503


@pytest.mark.any_mpm
def test_without_accounts(guarded):
    """No route, no number: what was there before them still works."""
    server = guarded("OOMGuardRoutes Off\n")
    server.expect("OG0101")
    ask(server, "/leak?size=1M&leak=1", 3)
    text = line_of(server, eat(server, "/leak")).text
    assert text.endswith("(certain: the only one in flight)") and "took" not in text
    assert server.status()["routes"] == []


@pytest.mark.any_mpm
@pytest.mark.parametrize("directive, said", [
    ("OOMGuardRoute", "takes 1-2 arguments"),
    ('OOMGuardRoute "shop"', 'no path fits "shop"'),
    (f'OOMGuardRoute "/x" "{"n" * 96}"', "write a name of 1 to 95 bytes"),
    ('OOMGuardRoute "expr=%{foo" ', "is no expression"),
    ('OOMGuardRoute "expr=%{HTTP_HOST}" "x"', "is one too many"),
    ("OOMGuardRoutes maybe", "must be On or Off"),
    ("OOMGuardBackend", "OOMGuardBackend requires at least one argument"),
    ('OOMGuardBackend "php[x"', 'OOMGuardBackend "php[x": the [ has no ]'),
    ("OOMGuardBackend a-name-that-is-long", "write at most the first 15 characters"),
    ("<VirtualHost *>\nOOMGuardBackend x\n</VirtualHost>", "cannot occur within"),
    ("OOMGuardLogQuery 1", "must be On or Off"),
    ("<Directory />\nOOMGuardRoute /x\n</Directory>", "not allowed"),
    ("<VirtualHost *>\nOOMGuardRoutes Off\n</VirtualHost>", "cannot occur within"),
])
def test_what_makes_no_sense_is_refused(httpd, directive, said):
    server = httpd(start=False)
    server.write_conf(directive + "\n")
    code, text = server.run("-t")
    assert code == 1 and said in text, text


@pytest.mark.any_mpm
def test_the_dump_has_it(httpd):
    server = httpd(start=False)
    server.write_conf('OOMGuardRoute "/x/*" "name"\nOOMGuardRoute "expr=%{HTTP_HOST}"\n'
                      'OOMGuardLogQuery On\nOOMGuardBackend "uwsgi*" gunicorn\n')
    text = server.run("-t", "-D", "DUMP_OOMGUARD")[1]
    for line in ("routes: on", "queries: told", 'route: "/x/*" is "name"',
                 'route: "expr=%{HTTP_HOST}"', 'backend: "uwsgi*"', 'backend: "gunicorn"'):
        assert f"  {line}\n" in text
    server.write_conf("OOMGuardBackend none\n")
    assert "backend" not in server.run("-t", "-D", "DUMP_OOMGUARD")[1]


@pytest.mark.long
@pytest.mark.mpms("worker", "event")  # mod_http2 is not for prefork
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="requests of one thread of mod_http2 "
                   "share an account, and some find no room: to be mended with who leaks")
def test_http2(guarded):
    """Many requests of one connection, twenty at a time, in threads of mod_http2's own."""
    if not shutil.which("h2load"):
        pytest.skip("h2load of nghttp2 is not installed")
    server = guarded("Protocols h2c http/1.1\n", modules=("http2",))
    server.missed = "see the mark"
    urls = f"{server.root}/urls"
    order = (["leak?size=2M&leak=1"] + ["index.html", "temp?size=256K"] * 50) * 50
    random.Random(1).shuffle(order)
    with open(urls, "w") as f:
        for path in order:
            f.write(f"http://127.0.0.1:{server.port}/{path}\n")

    done = subprocess.run(["h2load", "-n", str(len(order)), "-c", "1", "-m", "20", "-p", "h2c",
                           "-i", urls], capture_output=True, text=True, timeout=300)
    assert f"{len(order)} succeeded, 0 failed" in done.stdout, done.stdout + done.stderr
    assert server.status()["requests_missed"] == 0
    leak = settled(server, "/leak", 50)
    assert 50 * 2 * MIB <= leak["taken_bytes"] + 50 * MIB
    assert leak["taken_bytes"] < 50 * (2 * MIB + SPARE + MIB / 4)
    ranked_first(server, "/leak", 2 * MIB)
    index = settled(server, "/index.html", 2500, handler="default-handler")
    assert index["in_flight"] == 0 and index["taken_bytes"] < 2500 * 64 * 1024
