# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Real applications, each with a route that leaks among others that do not: it is ranked first
before a kill, and named in the kill's line. One that is not installed is left out."""
import glob
import os
import re
import subprocess
import time

import pytest

import killgate
from test_guard import status_of, watcher, with_cgi
from test_routes import ask, mix, ranked_first, settled

LEAK = 512 * 1024
LEAKS = 50
OTHERS = 5000

WSGI = f"""kept = []
def application(environ, start_response):
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    if path.endswith("/leak"):
        kept.append(bytearray(b"x") * {LEAK})
    elif path.endswith("/temp"):
        bytearray(b"x") * (1024 * 1024)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done\\n"]
"""

# What PHP's own heap has is given back after each request: it takes C to leak.
PHP = """<?php
$n = %d;
if (basename($_SERVER["SCRIPT_NAME"]) == "leak.php") {
    $p = FFI::new("char[$n]", false, true);
    FFI::memset($p, 1, $n);
}
if (basename($_SERVER["SCRIPT_NAME"]) == "temp.php")
    $s = str_repeat("x", 2 * $n);
echo "done\\n";
""" % LEAK

PERL = f"""package Leaks;
use strict;
use Apache2::RequestRec ();
use Apache2::RequestIO ();
use Apache2::Const -compile => qw(OK);
my @kept;
sub handler {{
    my $r = shift;
    push @kept, "x" x {LEAK} if $r->uri =~ m,/leak$,;
    my $s = "x" x {2 * LEAK} if $r->uri =~ m,/temp$,;
    $r->content_type("text/plain");
    $r->print("done\\n");
    return Apache2::Const::OK;
}}
1;
"""

# Few workers, so that each has enough to do: the largest one is killed, whoever asks for more.
PREFORK = """StartServers 2
MinSpareServers 1
MaxSpareServers 2
ServerLimit 2
MaxRequestWorkers 2
"""


def write(server, name, text):
    with open(f"{server.root}/{name}", "w") as f:
        f.write(text)
    os.chmod(f"{server.root}/{name}", 0o755)


def watcher_looks(server):
    """Waits until the watcher has found out anew who is suspected: it does so every two seconds,
    and looks at something else meanwhile, so it goes to sleep more often."""
    def slept():
        return int(status_of(watcher(server))["voluntary_ctxt_switches"])

    before, since = slept(), time.monotonic()
    server.wait_for(lambda: slept() >= before + 5 and time.monotonic() >= since + 3, timeout=60,
                    what="the watcher's look")


def judged(server, pattern, handler):
    """Are there enough samples to say anything of the route?"""
    found = [r for r in server.status()["routes"] if (r["pattern"], r["handler"]) == (pattern, handler)]
    return bool(found) and found[0]["suspicion"] != "unknown"


def prove(server, leaks, others, handler, line):
    """The route is ranked first, after so few of its requests among so many others; and when it
    goes on until the kernel kills, it is in the line."""
    tag = line[:6]
    server.expect(tag)
    if tag != "OG0101":
        server.allow("OG0101", "the kernel may kill a worker, too")
    server.allow("AH00161|AH00484", "all that two or four workers can do is asked for")
    server.allow("AH01067|AH01075|AH01068|Truncated or oversized", "of a daemon that has gone")
    # Who works for the workers is found within some seconds, once there is something to do.
    clients = 2 if server.mpm == "prefork" else 8
    for _ in range(60):
        if judged(server, others[0], handler):
            break
        mix(server, clients, **{path: 100 for path in others})
        time.sleep(0.2)
    mix(server, clients, **{leaks: LEAKS, **{path: OTHERS // len(others) for path in others}})
    settled(server, leaks, LEAKS, handler=handler)
    ranked_first(server, leaks, LEAK, handler)
    watcher_looks(server)
    with killgate.one():
        for _ in range(2000):
            server.get(leaks)
            if server.kernel_kills():
                break
    (told, *_) = server.wait_for(lambda: server.errors(tag), what="the line")
    assert re.search(f'(its route|most suspect is) "localhost" "{handler}" "{leaks}" retains '
                     r"\d+\.\d [KM]iB a request \(\+-", told.text), told.text
    assert re.search(line, told.text), told.text
    assert server.get().status == 200


@pytest.fixture
def wsgi(httpd):
    """Makes an httpd with a WSGI application at /app."""
    def make(conf, **options):
        server = httpd(start=False, modules=("wsgi",), **options)
        if not server.inst.has("wsgi"):
            pytest.skip("mod_wsgi is not installed")
        write(server, "app.wsgi", WSGI)
        server.write_conf(f"WSGISocketPrefix {server.root}/wsgi\n"
                          "WSGIDestroyInterpreter Off\n"  # or a worker takes ten seconds to stop
                          f"WSGIScriptAlias /app {server.root}/app.wsgi\n" + conf
                          + "<Files app.wsgi>\nRequire all granted\n</Files>\n")
        return server.start()
    return make


@pytest.mark.long
@pytest.mark.parametrize("mode", ["embedded", "daemon"])
def test_wsgi(wsgi, mpm, mode):
    server = wsgi({"embedded": "", "daemon": "WSGIDaemonProcess app processes=2 threads=4\n"
                   "WSGIProcessGroup app\n"}[mode], limit_mib=256,
                  **({"small": PREFORK} if mpm == "prefork" else {}))
    prove(server, "/app/leak", ("/app/quiet", "/app/temp"), "wsgi-script",
          {"embedded": "OG0101: the kernel killed worker ", "daemon":
           r'OG0101: the kernel killed helper \d+ "[^"]+", child of \d+: .*; request "GET" '
           r'"/app/leak" vhost .* \((likely|a guess): '}[mode])


def php_script(server):
    os.mkdir(f"{server.root}/htdocs/php")
    for name in ("leak", "temp", "quiet"):
        write(server, f"htdocs/php/{name}.php", PHP)


@pytest.mark.long
@pytest.mark.mpms("prefork")
def test_mod_php(httpd):
    server = httpd(start=False, small=PREFORK, limit_mib=256)
    found = glob.glob(f"{server.inst.modules}/libphp*.so")
    if not found:
        pytest.skip("mod_php is not installed")
    php_script(server)
    server.write_conf(f"LoadModule php_module {found[0]}\nphp_admin_value ffi.enable 1\n"
                      '<FilesMatch "\\.php$">\nSetHandler application/x-httpd-php\n</FilesMatch>\n')
    server.start()
    prove(server, "/php/leak.php", ("/php/quiet.php", "/php/temp.php"), "application/x-httpd-php",
          "OG0101: the kernel killed worker ")


def fpm_name(server):
    """As no other php-fpm of the machine is called."""
    return f"fpm-{server.port}"


@pytest.fixture
def php_fpm():
    """Starts php-fpm in a server's cgroup, with two children, and stops it."""
    started = []

    def start(server):
        program = sorted(glob.glob("/usr/sbin/php-fpm*"))
        if not program:
            pytest.skip("php-fpm is not installed")
        write(server, "fpm.conf", f"""[global]
error_log = {server.root}/fpm.log
daemonize = no
[www]
user = www-data
group = www-data
listen = {server.root}/fpm.sock
listen.owner = www-data
pm = static
pm.max_children = 2
php_admin_value[ffi.enable] = 1
""")
        named = f"{server.root}/{fpm_name(server)}"
        os.symlink(program[0], named)
        with open(f"{server.root}/fpm.out", "w") as out:
            started.append(subprocess.Popen(
                server.cgroup.inside([named, "-F", "-y", f"{server.root}/fpm.conf"]),
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True))
        server.wait_for(lambda: os.path.exists(f"{server.root}/fpm.sock"), what="php-fpm")

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.long
def test_php_fpm(httpd, php_fpm):
    server = httpd(start=False, modules=("proxy", "proxy_fcgi"), limit_mib=256)
    php_script(server)
    server.write_conf(f"OOMGuardBackend {fpm_name(server)}\n"
                      '<FilesMatch "\\.php$">\nSetHandler '
                      f'"proxy:unix:{server.root}/fpm.sock|fcgi://localhost"\n</FilesMatch>\n')
    server.start()
    php_fpm(server)
    prove(server, "/php/leak.php", ("/php/quiet.php", "/php/temp.php"), "proxy-server",
          rf'OG0112: the kernel killed backend \d+ "{fpm_name(server)}": .*; request "GET" '
          r'"/php/leak.php" vhost ')


@pytest.mark.long
@pytest.mark.mpms("prefork")  # an interpreter a thread is another matter
def test_mod_perl(httpd):
    server = httpd(start=False, small=PREFORK, limit_mib=256, modules=("perl",))
    if not server.inst.has("perl"):
        pytest.skip("mod_perl is not installed")
    write(server, "Leaks.pm", PERL)
    server.write_conf(f"""PerlSwitches -I{server.root}
PerlModule Leaks
<Location "/perl">
SetHandler perl-script
PerlResponseHandler Leaks
</Location>
""")
    server.start()
    prove(server, "/perl/leak", ("/perl/quiet", "/perl/temp"), "perl-script",
          "OG0101: the kernel killed worker ")


@pytest.mark.long
def test_cgi(httpd, mpm):
    """What a script takes is gone with it: it is known by its kills."""
    server = with_cgi(httpd, module="cgi" if mpm == "prefork" else "cgid")
    server.expect("OG0101", times=1)
    server.allow("AH01220|AH01215|AH02550|End of script output|Killed", "of a killed script")
    server.allow("AH00161", "all that two workers can do is asked for", mpm=("prefork",))
    mix(server, 2, **{"/index.html": OTHERS, "/cgi/score": 50})
    server.kill_by("/cgi/eat")
    (told,) = server.wait_for_error("OG0101")
    assert re.search(r'the kernel killed helper \d+ "(eat|tail)", child of \d+: .*; request "GET" '
                     r'"/cgi/eat" vhost .* \((likely: such a process works for no other|certain: '
                     r'its parent was in no other)\); its route "localhost" "cgi-script" '
                     r'"/cgi/eat" .*, 1 kill', told.text), told.text
    settled(server, "/cgi/eat", 1, handler="cgi-script")
    assert server.status()["routes"][0]["pattern"] == "/cgi/eat"
