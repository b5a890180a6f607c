"""Services: what is asked and answered, in order, and one sentence where none answers in JSON."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nsrl.errors import UserError
from nsrl.rewards import post, posted


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if body == "ill" else 200)
        self.end_headers()
        self.wfile.write(b"no json" if body == "odd" else json.dumps([body]).encode())

    def log_message(self, *_):
        pass


def test_services():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        assert post(url, {"a": 1}) == [{"a": 1}]
        assert asyncio.run(posted(url, range(9))) == [[n] for n in range(9)] and asyncio.run(posted(url, [])) == []
        for body in ("odd", "ill"):
            with pytest.raises(UserError, match="must be a service that answers in JSON; got"):
                post(url, body)
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(UserError, match="must be a service that answers in JSON; got"):
        post(url, 1)
