# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Behind a proxy: the client is the one that mod_remoteip has restored."""
import json

import pytest

from httpd import STATUS_PATH
from test_guard import eat, line_of

PROXIED = """RemoteIPHeader X-Client
RemoteIPInternalProxy 127.0.0.1
"""


def client_of(server, conn, headers):
    """Who asks for the status, as that says itself, unless httpd has only just begun."""
    def asked():
        answer = server.get(STATUS_PATH, conn=conn, headers=headers)
        return [r["client"] for w in json.loads(answer.text)["workers"] for r in w["requests"]
                if r["path"] == STATUS_PATH]
    (client,) = server.wait_for(asked, what="its own request")
    return client


@pytest.mark.mpms("prefork", "event")  # with prefork all are of one thread
def test_clients_of_one_connection(httpd):
    """One after the other, some of them the proxy itself."""
    server = httpd(conf=PROXIED, modules=("remoteip",))
    conn = server.connection()
    for client in (None, None, "192.0.2.7", "192.0.2.7", "2001:db8::1", None, "192.0.2.8", None):
        headers = {"X-Client": client} if client else {}
        assert client_of(server, conn, headers) == (client or "127.0.0.1")
    conn.close()


@pytest.mark.any_mpm
def test_the_client_of_a_kill(httpd):
    server = httpd(conf=PROXIED + "<Location /oom>\nRequire all granted\n</Location>\n",
                   modules=("remoteip",))
    server.expect("OG0101")
    line = line_of(server, eat(server, headers={"X-Client": "192.0.2.7"}))
    assert 'request "GET" "/oom" vhost "localhost" client "192.0.2.7" for ' in line.text
