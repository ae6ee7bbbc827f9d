"""MLflow's way from a model to a replica that is ready, for ``tests.bench.image``: ``mlflow models build-docker``.

The engine is the same kind as ours has, with the same base image; MLflow's template wants ``python`` and ``pip`` in it
and fetches packages itself, so the base gets both and the machine's certificates, before anything is timed.
"""

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker

from tests.engines.base_images import BASE_IMAGE
from tests.engines.compose.stack import CERTIFICATES, reaching_out
from tests.engines.daemons import Daemon, open_docker_hosts

MLFLOW = "mlflow==3.17.2"
NAME = "heavy-of-mlflow"
PORT = 8080
READY_SECONDS = 300
MAKE = """
import sys, mlflow.models, mlflow.onnx, onnx
mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2])
"""
BUILD = """
import sys, mlflow.models
mlflow.models.build_docker(sys.argv[1], sys.argv[2], env_manager="local")
"""
BASE = f"""
FROM {BASE_IMAGE}
COPY certificates.pem /etc/certificates.pem
RUN python3 -m venv /opt/python
ENV PATH=/opt/python/bin:$PATH PIP_CERT=/etc/certificates.pem
"""


def measure(models: list[Path], packages: tuple[str, ...]) -> Iterator[tuple[float, float]]:
    """For one ONNX model after the other: seconds to build its image, and from there until it is ready."""
    with tempfile.TemporaryDirectory(prefix="slw-mlflow-") as name, open_docker_hosts(1) as hosts:
        folder, host = Path(name), hosts.daemons[0]
        python = install(folder / "environment", (MLFLOW, *packages))
        host.import_base()
        with reaching_out(hosts.lan.range):
            prepare_base(host)
            for number, model in enumerate(models):
                saved = folder / f"model-{number}"
                subprocess.run([python, "-c", MAKE, str(model), str(saved)], check=True, capture_output=True)
                yield build(host, python, saved), start(host)


def install(environment: Path, packages: tuple[str, ...]) -> str:
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def prepare_base(host: Daemon) -> None:
    """The image that MLflow derives from the model's Python version."""
    version = ".".join(map(str, sys.version_info[:3]))
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as context:
        context.add(CERTIFICATES, "certificates.pem")
        file = tarfile.TarInfo("Dockerfile")
        file.size = len(BASE)
        context.addfile(file, io.BytesIO(BASE.encode()))
    made.seek(0)
    host.client.images.build(fileobj=made, custom_context=True, tag=f"python:{version}-slim", rm=True)


def build(host: Daemon, python: str, saved: Path) -> float:
    around = {**os.environ, "DOCKER_HOST": host.socket, "DOCKER_BUILDKIT": "0"}
    begun = time.monotonic()
    done = subprocess.run(
        [python, "-c", BUILD, str(saved), NAME], env=around, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return time.monotonic() - begun


def start(host: Daemon) -> float:
    begun = time.monotonic()
    container = host.client.containers.run(NAME, detach=True)
    try:
        while not is_ready(container):
            assert time.monotonic() < begun + READY_SECONDS, container.logs().decode()
            time.sleep(0.05)
        return time.monotonic() - begun
    finally:
        container.remove(force=True)


def is_ready(container: "docker.models.containers.Container") -> bool:
    ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/ping', timeout=3)"
    with contextlib.suppress(docker.errors.DockerException):
        return bool(container.exec_run(["python", "-c", ask]).exit_code == 0)
    return False
