# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A request to the httpd under test, and its answer."""
import http.client


class Response:
    """An answer, read as it comes. error is what broke it off, or None; status is None if
    there was no answer at all. A connection that is given is used, and left open."""

    def __init__(self, port, path, headers, timeout, method, conn=None):
        self.status, self.headers, self.body, self.error = None, {}, b"", None
        self._own = conn is None
        self.conn = conn or http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
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
        if self._own or self.error:
            self.conn.close()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")
