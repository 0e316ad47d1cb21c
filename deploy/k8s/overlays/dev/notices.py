"""Prints every notice that is posted here, for development; it does not check the signatures."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Notices(BaseHTTPRequestHandler):
    """Takes any POST."""

    def do_POST(self) -> None:
        """Print the body on one line and say 204."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        print(body.decode(errors="replace"), flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", 8000), Notices).serve_forever()
