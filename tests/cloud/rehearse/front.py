"""Stand-ins for what stands before a function: the load balancer, and the address that Cloud Run gives each.

Both say in X-Forwarded-For whom they heard, and follow the instances: an address stays while what serves it changes.
"""

import http.client
import http.server
import json
import threading

# The address that the load balancer's rule has: the entry that it adds after the client's.
OWN_ADDRESS = "203.0.113.80"
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class Proxy:
    """Listens on a free port, and passes requests on to the instance of the function that `function_of` names."""

    def __init__(self, function_of, instances: dict, own_entries: list):
        self.function_of, self.instances, self.own_entries = function_of, instances, own_entries
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                proxy.pass_on(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, request: http.server.BaseHTTPRequestHandler):
        """Answer what the function answers; 503 where it has no instance, as Cloud Run does while it is paused."""
        name = self.function_of(request.path.split("?")[0])
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        heard = [request.headers.get("X-Forwarded-For"), request.client_address[0], *self.own_entries]
        headers["X-Forwarded-For"] = ", ".join(entry for entry in heard if entry)
        headers["X-Forwarded-Proto"] = "https"
        try:
            status, given, content = self._ask(name, request, body, headers)
        except OSError:
            status, given = 503, [("Content-Type", "application/json"), ("Retry-After", "5")]
            content = json.dumps({"error": f"{name} has no instance"}).encode()
        request.send_response(status)
        for key, value in given:
            if key.lower() not in _HOP | {"content-length"}:
                request.send_header(key, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def _ask(self, name: str, request, body: bytes, headers: dict) -> tuple:
        port = self.instances.get(name)
        if port is None:
            raise OSError(f"{name} has no instance")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(request.command, request.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


def load_balancer(functions: dict, instances: dict) -> Proxy:
    """Routes by the paths of functions.json: to the function that serves one, or to the one of the default route."""
    exact, prefixes = {}, []
    for name, row in functions.items():
        for path in row["paths"] if row["ingress"] == "lb" else []:
            if path.endswith("*"):
                prefixes.append((path[:-1], name))
            else:
                exact[path] = name
    default = next(name for name, row in functions.items() if row.get("default_route"))

    def function_of(path: str) -> str:
        if path in exact:
            return exact[path]
        longest = max((it for it in prefixes if path.startswith(it[0])), key=lambda it: len(it[0]), default=None)
        return longest[1] if longest else default

    return Proxy(function_of, instances, [OWN_ADDRESS])


def run_address(name: str, instances: dict) -> Proxy:
    """The address of one function at run.app."""
    return Proxy(lambda _path: name, instances, [])
