# Licensed under the Apache License, Version 2.0; see LICENSE.
"""An application of mod_fcgid: daemons that httpd forks, like those of mod_wsgi."""
import os

import pytest

from test_apps import LEAK, prove, write

APP = f"""#!/usr/bin/python3
import os, socket, struct

HEAD = struct.Struct(">BBHHBB")
PARAMS, STDIN, STDOUT, END = 4, 5, 6, 3
kept = []

def serve(conn):
    stream, params = conn.makefile("rb"), b""
    while True:
        _, kind, number, length, padding, _ = HEAD.unpack(stream.read(HEAD.size))
        body = stream.read(length + padding)[:length]
        if kind == PARAMS:
            params += body
        elif kind == STDIN and not body:
            break
    if b"/app/leak" in params:
        kept.append(bytearray(b"x") * {LEAK})
    elif b"/app/temp" in params:
        bytearray(b"x") * (2 * {LEAK})
    out = b"Content-Type: text/plain\\r\\n\\r\\ndone\\n"
    conn.sendall(HEAD.pack(1, STDOUT, number, len(out), 0, 0) + out
                 + HEAD.pack(1, END, number, 8, 0, 0) + bytes(8))

listener = socket.socket(fileno=0)
while True:
    conn, _ = listener.accept()
    with conn:
        serve(conn)
"""


@pytest.mark.long
@pytest.mark.any_mpm
def test_fcgid(httpd):
    server = httpd(start=False, modules=("alias", "fcgid"), limit_mib=256)
    if not server.inst.has("fcgid"):
        pytest.skip("mod_fcgid is not installed")
    os.mkdir(f"{server.root}/fcgi")
    os.chmod(f"{server.root}/fcgi", 0o777)  # the process manager makes sockets there
    write(server, "fcgi/app", APP)
    server.write_conf(f"""FcgidIPCDir {server.root}/fcgi
FcgidProcessTableFile {server.root}/fcgi/table
FcgidMaxProcesses 2
FcgidMaxRequestsPerProcess 0
ScriptAliasMatch ^/app/ {server.root}/fcgi/app
<Directory {server.root}/fcgi>
SetHandler fcgid-script
Options +ExecCGI
Require all granted
</Directory>
""")
    server.start()
    server.expect("mod_fcgid: error reading data, FastCGI server closed connection")
    server.expect("^\\[client .*End of script output before headers: app$")
    prove(server, "/app/leak", ("/app/quiet", "/app/temp"), "fcgid-script",
          r'OG0101: the kernel killed helper \d+ "app", child of \d+: .*; request "GET" '
          r'"/app/leak" vhost .* \((likely|a guess): ')
