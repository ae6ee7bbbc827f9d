"""Server CPU per request of the runtime beside MLServer, on the same model, in one interleaved run.

    python -m tests.bench.runtime [--rounds 4] [--seconds 2] [--connections 64]

Both serve scikit-learn's digits through the same ONNX forest of 100 trees, one request of 64 numbers as JSON, over
keep-alive connections. CPU is user and system time of the server's whole process tree from /proc, divided by the
requests answered: unlike requests per second it hardly depends on what else the machine does. MLServer runs in its
faster mode (in process, ``parallel_workers`` 0), without access log, around a custom runtime with the same session
options. Its virtual environment is made with uv below ``$SLIPWAY_HOME/bench`` (or the temporary folder) the first time.
"""

import argparse
import asyncio
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
import timeit
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import onnxruntime

from tests.runtime import bundles, replicas

GOAL = 12.0
Generate = Callable[[str, float], int]
MLSERVER_PINS = ("mlserver==1.7.1", f"onnxruntime=={onnxruntime.__version__}", "uvloop==0.21.0")
MLSERVER_RUNTIME = """
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Forest(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        label, probabilities = self._session.run(["label", "probabilities"], {"X": rows})
        outputs = [NumpyCodec.encode_output("label", label), NumpyCodec.encode_output("probabilities", probabilities)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""


@dataclass
class Side:
    """One server and what was measured of it: CPU microseconds per request, and requests per second."""

    name: str
    pid: int
    url: str
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


def main() -> int:
    options = parse_options()
    features, target = bundles.digits()
    body = json.dumps(
        {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": features[0].tolist()}]}
    ).encode()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        bundle = bundles.forest_bundle(folder / "bundle")
        model = bundle / "model" / "model.onnx"
        sides = [stack.enter_context(run_slipway(bundle)), stack.enter_context(run_mlserver(folder, model))]
        for side in sides:
            check_answer(side, body, int(target[0]))
        generate = choose_generator(folder, body, options)
        for _ in range(options.rounds):
            for side in sides:
                measure(side, generate, options.seconds)
        report(sides, time_session(model, features), options)
    return 0 if ratio(sides) >= GOAL else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


# --- the two servers --------------------------------------------------------------------------------------------


@contextmanager
def run_slipway(bundle: Path) -> Iterator[Side]:
    with replicas.start(bundle) as replica:
        yield Side("slipway", replica.process.pid, f"http://{replica.address}/v2/models/digits/infer")


@contextmanager
def run_mlserver(folder: Path, model: Path) -> Iterator[Side]:
    home = folder / "mlserver"
    home.mkdir()
    ports = [free_port() for _ in range(3)]
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {"parallel_workers": 0, "debug": False, "host": "127.0.0.1", **dict(zip(names, ports, strict=True))}
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(
        json.dumps({"name": "digits", "implementation": "forest.Forest", "parameters": {"uri": str(model)}})
    )
    (home / "forest.py").write_text(MLSERVER_RUNTIME)
    process = subprocess.Popen(
        [find_mlserver(), "start", "."],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{ports[0]}/v2"
        wait_ready(process, f"{base}/models/digits/ready")
        yield Side("mlserver", process.pid, f"{base}/models/digits/infer")
    finally:
        process.terminate()
        process.wait()


def find_mlserver() -> Path:
    """MLServer's command, in a virtual environment of its own that is made once."""
    folder = Path(os.environ.get("SLIPWAY_HOME") or tempfile.gettempdir()) / "bench" / "mlserver-1.7.1"
    command = folder / "bin" / "mlserver"
    if not command.exists():
        print(f"preparing MLServer in {folder} …", flush=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        pip = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
        subprocess.run([*pip, *MLSERVER_PINS], check=True)
    return command


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{url} was not ready in time")


def check_answer(side: Side, body: bytes, expected: int) -> None:
    request = urllib.request.Request(side.url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        outputs = {row["name"]: row["data"] for row in json.load(response)["outputs"]}
    if outputs["label"] != [expected] or len(outputs["probabilities"]) != 10:
        raise SystemExit(f"{side.name} does not answer rightly: {outputs}")


# --- measuring --------------------------------------------------------------------------------------------------


def choose_generator(folder: Path, body: bytes, options: argparse.Namespace) -> Generate:
    """A function that loads a URL for a while and returns how many requests were answered with 200."""
    if shutil.which("wrk"):
        script = folder / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[{body.decode()}]]\n'
        )
        return lambda url, seconds: load_with_wrk(url, script, options.connections, seconds)
    return lambda url, seconds: asyncio.run(load_with_asyncio(url, body, options.connections, seconds))


def load_with_wrk(url: str, script: Path, connections: int, seconds: float) -> int:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"{url} answered with errors:\n{output}")
    return int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]


async def load_with_asyncio(url: str, body: bytes, connections: int, seconds: float) -> int:
    host, _, path = url.removeprefix("http://").partition("/")
    head = f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request = head.encode() + b"\r\n\r\n" + body
    deadline = time.monotonic() + seconds
    name, port = host.split(":")
    return sum(await asyncio.gather(*(_keep_asking(name, int(port), request, deadline) for _ in range(connections))))


async def _keep_asking(host: str, port: int, request: bytes, deadline: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    answered = 0
    while time.monotonic() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"answered with {head!r}")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))  # type: ignore[index]
        answered += 1
    writer.close()
    return answered


def measure(side: Side, generate: Generate, seconds: float) -> None:
    before, started = tree_seconds(side.pid), time.monotonic()
    answered = generate(side.url, seconds)
    used, took = tree_seconds(side.pid) - before, time.monotonic() - started
    side.cpu.append(used / answered * 1e6)
    side.rate.append(answered / took)


def tree_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants."""
    parents: dict[int, int] = {}
    times: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        child = int(stat.parent.name)
        parents[child] = int(fields[1])
        times[child] = sum(map(int, fields[11:15]))
    return sum(spent for child, spent in times.items() if _descends(child, pid, parents)) / os.sysconf("SC_CLK_TCK")


def _descends(child: int, ancestor: int, parents: dict[int, int]) -> bool:
    while child and child != ancestor:
        child = parents.get(child, 0)
    return child == ancestor


def time_session(model: Path, features: np.ndarray) -> dict[int, float]:
    """The physical limit: microseconds per row of the bare session, in process, by batch size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    names = ["label", "probabilities"]

    def per_row(rows: int) -> float:
        batch = features[:rows]
        return min(timeit.repeat(lambda: session.run(names, {"X": batch}), number=200, repeat=5)) / 200 / rows * 1e6

    return {rows: per_row(rows) for rows in (1, 32)}


# --- the result -------------------------------------------------------------------------------------------------


def ratio(sides: list[Side]) -> float:
    """How much less CPU the first side takes: the median over the rounds, each compared with its neighbour."""
    ours, theirs = sides
    return statistics.median(b / a for a, b in zip(ours.cpu, theirs.cpu, strict=True))


def report(sides: list[Side], limit: dict[int, float], options: argparse.Namespace) -> None:
    print(
        f"{options.connections} connections, {options.rounds} interleaved rounds of {options.seconds:g} s; "
        "median (range)"
    )
    for side in sides:
        cpu, rate = statistics.median(side.cpu), statistics.median(side.rate)
        spread = f"({min(side.cpu):.1f} to {max(side.cpu):.1f})"
        print(f"  {side.name:10} {cpu:8.1f} µs CPU per request {spread:22} {rate:10,.0f} requests/s")
    print(f"  in process {limit[1]:8.1f} µs per row alone, {limit[32]:.1f} in a batch of 32: the model's own cost")
    found = ratio(sides)
    print(f"  ratio {found:.1f} (goal {GOAL:g}): {'reached' if found >= GOAL else 'MISSED'}")


if __name__ == "__main__":
    raise SystemExit(main())
