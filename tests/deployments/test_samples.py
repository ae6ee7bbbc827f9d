"""Ready-to-paste code, run as it stands against a real endpoint: whatever a model's author called and put into it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from apps.deployments.samples import samples
from apps.gateway.tables import Replica, make_snapshot
from tests.gateway.conftest import start_gateway, write_snapshot
from tests.runtime import bundles
from tests.runtime.replicas import start

TRAP = "$(touch trapped) `touch trapped`"
NAMES = {
    'it\'s "x"': "BYTES",
    'y"); open("trapped", "w"); ("': "BOOL",
    f"z' {TRAP} \\": "FP32",
}
VALUES: dict[str, list[Any]] = {
    "BYTES": [f"it's; {TRAP} '; touch trapped; '", '"""\\\n\'""" ü $HOME'],
    "BOOL": [True, False],
    "FP32": [1.5, -2.0],
}
REQUEST = {
    "inputs": [{"name": name, "shape": [1, 2], "datatype": kind, "data": VALUES[kind]} for name, kind in NAMES.items()]
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where an endpoint answers that gives back what it is sent, and a key for it."""
    home = tmp_path_factory.mktemp("gateway")
    write_snapshot(home, make_snapshot("0", [], []))
    with ExitStack() as stack:
        replica = stack.enter_context(start(bundles.echo_bundle(tmp_path_factory.mktemp("echo") / "bundle", NAMES)))
        gateway = start_gateway(home)
        stack.callback(gateway.stop)
        key, endpoint = gateway.make_key(), gateway.make_endpoint(Replica("r", "127.0.0.1", replica.port, ""))
        gateway.publish()
        yield f"http://127.0.0.1:{gateway.port}/demo/{endpoint}", key


def run(command: list[str], code: str, key: str, folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "SLIPWAY_KEY": key, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [*command, code], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == [], "something in the sample was run that is data"
    return done.stdout


@pytest.mark.parametrize(("name", "command"), [("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])])
def test_pasted_code_sends_exactly_what_the_sample_holds(
    address: tuple[str, str], tmp_path: Path, name: str, command: list[str]
) -> None:
    url, key = address
    code = next(sample.code for sample in samples(url, "echo", REQUEST) if sample.name == name)

    printed = run(command, code, key, tmp_path)

    outputs = json.loads(printed)["outputs"] if name == "curl" else eval(printed)
    assert {row["name"]: row["data"] for row in outputs} == {f"{name}_out": VALUES[NAMES[name]] for name in NAMES}


def test_pasted_tritonclient_prints_every_output(address: tuple[str, str], tmp_path: Path) -> None:
    url, key = address
    code = next(sample.code for sample in samples(url, "echo", REQUEST) if sample.name == "tritonclient")

    printed = run([sys.executable, "-c"], code, key, tmp_path)

    shown = {f"{name}_out" for name in NAMES if f"{name}_out" in printed}
    assert shown == {f"{name}_out" for name in NAMES}
    assert "[[ True False]]" in printed
    assert "[[ 1.5 -2. ]]" in printed


def test_tritonclient_is_told_where_the_address_is_secured() -> None:
    (code,) = (
        sample.code for sample in samples("https://models.example/demo/e", "m", REQUEST) if "triton" in sample.code
    )

    assert "InferenceServerClient('models.example/demo/e', ssl=True)" in code
