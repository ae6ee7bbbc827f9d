"""Runs in test images in the place of the real server: as quick to start, and it does on request what models do by
accident. Standard library only.

GET /v2/health/live, /v2/health/ready, /slipway/identity?nonce=…  as the real one answers them
POST anything   {}, as the answer of a model
GET /seen      who it is and what it can reach, as JSON
GET /crash?code=3, /eat (memory, until it is stopped), /log?line=…
"""

import ctypes
import hashlib
import hmac
import http.client
import http.server
import json
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SECRET = Path(os.environ["SLIPWAY_SECRET_FILE"]).read_bytes().strip()
SUBJECT = os.environ.get("SUBJECT", "the subject")
NEIGHBOURS = [("10.231.1.1", 22), ("169.254.169.254", 80), ("1.1.1.1", 443), ("172.17.0.1", 2376), ("172.18.0.1", 80)]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != "/v2/health/live" and self.headers.get("X-Slipway-Secret", "").encode() != SECRET:
            self.answer(401, {})
        elif parts.path in ("/v2/health/live", "/v2/health/ready"):
            self.answer(200, {})
        elif parts.path == "/slipway/identity":
            proof = hmac.new(SECRET, f"{SUBJECT}:{query['nonce']}".encode(), hashlib.sha256).hexdigest()
            self.answer(200, {"proof": proof})
        else:
            self.misbehave(parts.path, query)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200 if self.headers.get("X-Slipway-Secret", "").encode() == SECRET else 401, {})

    def misbehave(self, path: str, query: dict) -> None:
        self.answer(200, seen(query) if path == "/seen" else {})
        if path == "/log":
            print(query["line"], flush=True)
        if path == "/crash":
            print("it went wrong", file=sys.stderr, flush=True)
            os._exit(int(query["code"]))
        if path == "/eat":
            hoard = [bytearray(b"x" * (1 << 20)) for _ in range(1 << 16)]
            print(len(hoard))

    def answer(self, status: int, document: dict) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""


def seen(query: dict) -> dict:
    """What a replica that means harm would look at first."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "user": os.getuid(),
        "capabilities": status["CapEff"].strip(),
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "seccomp": status["Seccomp"].strip(),
        "environment": dict(os.environ),
        "probes": attempt_all(probes(query)),
    }


def probes(query: dict) -> dict:
    others = [*NEIGHBOURS, *places(query.get("also", ""))]
    return {
        **{f"connect {host}:{port}": lambda h=host, p=port: connect(h, p) for host, port in others},
        **{f"ask {host}:{port}": lambda h=host, p=port: ask(h, p) for host, port in places(query.get("ask", ""))},
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "fast open": lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("10.231.1.1", 80)),
        "docker socket": lambda: Path("/var/run/docker.sock").stat(),
        "write to its root": lambda: Path("/opt/new").write_text("x"),
        "write to its bundle": lambda: Path("/opt/server.py").write_text("x"),
        "become root": lambda: os.setuid(0),
        "mount": lambda: libc_call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "new namespace": lambda: libc_call("unshare", 0x10000000),
        "run from /tmp": run_from_tmp,
    }


def places(text: str) -> list:
    return [(host, int(port)) for host, _colon, port in (each.partition(":") for each in text.split(",") if each)]


def connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=1).close()


def ask(host: str, port: int) -> None:
    """A replica like this one: who merely connects may have got somewhere else, where the way out is open."""
    connection = http.client.HTTPConnection(host, port, timeout=1)
    connection.request("GET", "/v2/health/live")
    if connection.getresponse().read() != b"{}":
        raise OSError("somebody else answered")


def run_from_tmp() -> None:
    program = Path("/tmp/program")
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    os.posix_spawn(str(program), [str(program)], {})


def libc_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def attempt_all(tried: dict) -> dict:
    """All at once: some wait for an answer that never comes."""
    with ThreadPoolExecutor(len(tried)) as pool:
        return dict(zip(tried, pool.map(attempt, tried.values()), strict=True))


def attempt(probe) -> str:
    try:
        probe()
    except (OSError, http.client.HTTPException) as error:
        return f"refused: {error}"
    return "it worked"


server = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(json.dumps({"level": "info", "event": "serving"}), flush=True)
server.serve_forever()
