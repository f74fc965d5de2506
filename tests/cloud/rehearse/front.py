"""A stand-in for the load balancer: routes by the paths of functions.json, and says in X-Forwarded-For whom it heard."""

import http.client
import http.server
import json
import threading

# The address that the load balancer's rule has: the entry that it adds after the client's.
OWN_ADDRESS = "203.0.113.80"
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class Front:
    """Listens on a port; each path goes to the function that serves it, others to the one of the default route."""

    def __init__(self, functions: dict, ports: dict):
        self.exact, self.prefixes = {}, []
        for name, row in functions.items():
            if row["ingress"] != "lb":
                continue
            for path in row["paths"]:
                if path.endswith("*"):
                    self.prefixes.append((path[:-1], name))
                else:
                    self.exact[path] = name
        self.default = next(name for name, row in functions.items() if row.get("default_route"))
        self.ports = ports
        self.answered: dict = {}
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                front.pass_on(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def function_of(self, path: str) -> str:
        """Which function serves a path."""
        path = path.split("?")[0]
        if path in self.exact:
            return self.exact[path]
        longest = max((it for it in self.prefixes if path.startswith(it[0])), key=lambda it: len(it[0]), default=None)
        return longest[1] if longest else self.default

    def pass_on(self, request: http.server.BaseHTTPRequestHandler):
        """Ask the function, and answer what it answers; 503 where none is there, as Cloud Run does while it is paused."""
        name = self.function_of(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        heard = [request.headers.get("X-Forwarded-For"), request.client_address[0], OWN_ADDRESS]
        headers["X-Forwarded-For"] = ", ".join(entry for entry in heard if entry)
        headers["X-Forwarded-Proto"] = "https"
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=30)
        try:
            connection.request(request.command, request.path, body or None, headers)
            answer = connection.getresponse()
            status, content, given = answer.status, answer.read(), answer.getheaders()
        except OSError:
            status, given = 503, [("Content-Type", "application/json"), ("Retry-After", "5")]
            content = json.dumps({"error": f"{name} has no instance"}).encode()
        finally:
            connection.close()
        self.answered[name] = self.answered.get(name, 0) + 1
        request.send_response(status)
        for key, value in given:
            if key.lower() not in _HOP | {"content-length"}:
                request.send_header(key, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)
