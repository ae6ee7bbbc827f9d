"""CPU per request of the gateway with its full policy against a plain Starlette + aiohttp proxy with none.

``python -m tests.bench.gateway [--rounds 4] [--seconds 2]``; needs ``wrk`` and ``uv``. Both stand in front of the same
quick replicas and are loaded in turn (A B A B …) by 64 kept-alive connections that post 427 bytes. What is compared is
user + system time of the server process per answered request, which the neighbours on a busy machine disturb least.
The gateway checks the key, takes a token, splits 90/10 over two deployments, watches, meters; the proxy just forwards.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from apps.core import keys
from apps.gateway.tables import Endpoint, Key, Replica, Route, make_snapshot, to_json
from tests.gateway.serve import PEPPER

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CONNECTIONS = 64
MOST_SHARE = 1 / 3
PATH = "/demo/digits/v2/models/digits/infer"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Side:
    """One of the two servers, and what was measured of it: µs of CPU and requests per second by round."""

    name: str
    process: "subprocess.Popen[bytes]"
    url: str
    micros: list[float]
    rates: list[float]


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--seconds", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            sides = start(Path(folder), processes)
            script = write_script(Path(folder))
            for side in sides:
                measure(side, script, 1, keep=False)
            for _ in range(given.rounds):
                for side in sides:
                    measure(side, script, given.seconds)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()
    return report(sides)


def start(folder: Path, processes: "list[subprocess.Popen[bytes]]") -> list[Side]:
    stable, canary, ours, plain = free_ports(4)
    key = keys.mint()
    write_snapshot(folder, key, stable, canary)
    (folder / "key").write_text(key.text)

    def run(*command: str | int | Path) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT)
        processes.append(process)
        return process

    run(sys.executable, HERE / "gateway_upstream.py", stable, canary)
    gateway = run(sys.executable, "-m", "tests.gateway.serve", ours, folder)
    proxy = run(proxy_python(folder), HERE / "gateway_plain_proxy.py", plain, stable)
    for port in (stable, canary, ours, plain):
        wait_for(port)
    return [
        Side("gateway, full policy", gateway, f"http://127.0.0.1:{ours}{PATH}", [], []),
        Side("starlette + aiohttp, no policy", proxy, f"http://127.0.0.1:{plain}{PATH}", [], []),
    ]


def write_snapshot(folder: Path, key: keys.MintedKey, stable: int, canary: int) -> None:
    routes = (
        Route("1", "1", 90, (Replica("a", "127.0.0.1", stable, "secret"),)),
        Route("2", "2", 10, (Replica("b", "127.0.0.1", canary, "secret"),)),
    )
    endpoint = Endpoint("demo", "digits", "digits", 1 << 20, 30.0, True, routes)
    digest = keys.digest(PEPPER, key.secret)
    caller = Key(key.key_id, digest, "demo", frozenset({"invoke:digits"}), time.time() + 3600, 60_000_000)
    (folder / "source.json").write_bytes(to_json(make_snapshot("1", [caller], [endpoint])))
    (folder / "limits.json").write_text("{}")


def proxy_python(folder: Path) -> Path:
    """The interpreter of a throw-away environment that holds what the other side is made of."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    environment = folder / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    packages = ["starlette", "aiohttp", "uvicorn", "uvloop", "httptools"]
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--system-certs", "--python", python, *packages], check=True)
    return python


def write_script(folder: Path) -> Path:
    """For wrk: post one row of 64 numbers with the key."""
    inputs = [{"name": "input", "datatype": "FP32", "shape": [1, 64], "data": [float(n % 17) for n in range(64)]}]
    lines = (
        'wrk.method = "POST"',
        f"wrk.body = {json.dumps(json.dumps({'inputs': inputs}))}",
        'wrk.headers["Content-Type"] = "application/json"',
        f'wrk.headers["Authorization"] = "Bearer {(folder / "key").read_text()}"',
    )
    script = folder / "post.lua"
    script.write_text("\n".join(lines))
    return script


def measure(side: Side, script: Path, seconds: int, keep: bool = True) -> None:
    before = cpu_seconds(side.process.pid)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), side.url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(side.process.pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{side.name} did not answer everything with 200:\n{output}")
    requests, rate = re.search(r"(\d+) requests in", output), re.search(r"Requests/sec:\s+([\d.]+)", output)
    if keep and requests and rate:
        side.micros.append(used / int(requests[1]) * 1e6)
        side.rates.append(float(rate[1]))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def report(sides: list[Side]) -> int:
    for side in sides:
        low, middle, high = min(side.micros), statistics.median(side.micros), max(side.micros)
        rate = statistics.median(side.rates)
        print(f"{side.name:32} {middle:7.1f} µs CPU/request ({low:.1f}-{high:.1f}), {rate:8.0f} requests/s")
    ours, theirs = (statistics.median(side.micros) for side in sides)
    print(f"share: {ours / theirs:.2f} (at most {MOST_SHARE:.2f})")
    return 0 if ours / theirs <= MOST_SHARE else 1


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def wait_for(port: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


if __name__ == "__main__":
    sys.exit(main())
