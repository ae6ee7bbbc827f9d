"""Locks are read strictly, and what is written about an image fits the official schema."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.worker.builders.making import make_spec
from worker.builders.image.access import parse_address, registry_access
from worker.builders.image.locked import Locked, read_lock, write_requirements
from worker.builders.image.runtime import BASE, BASE_DIGEST, Runtime
from worker.builders.image.sbom import make_sbom
from worker.errors import ToolError

HASHES = [f"sha256:{letter * 64}" for letter in "ba"]
LOCK = f"""# Python 3.11 linux x86_64
numpy==2.2.0 \\
    --hash={HASHES[0]} \\
    --hash={HASHES[1]}
Typing_Extensions==4.1 \\
    --hash={HASHES[0]}
"""
DIGEST = f"sha256:{'d' * 64}"


def read(tmp_path: Path, text: str) -> tuple[Locked, ...]:
    path = tmp_path / "lock.txt"
    path.write_text(text)
    return read_lock(path)


def test_a_lock_is_read_and_written_in_one_form(tmp_path: Path) -> None:
    packages = read(tmp_path, LOCK)
    assert [(one.name, one.version) for one in packages] == [("numpy", "2.2.0"), ("typing-extensions", "4.1")]
    text = write_requirements(packages)
    assert text.splitlines()[0] == f"numpy==2.2.0 --hash={HASHES[1]} --hash={HASHES[0]}"
    assert read(tmp_path, text) == packages


@pytest.mark.parametrize(
    "line",
    ["numpy==2.2.0", "numpy>=2 --hash=sha256:" + "a" * 64, "--index-url https://evil.example", "-e .",
     "numpy==2.2.0 --hash=md5:abc", "numpy @ https://evil.example/x.whl --hash=sha256:" + "a" * 64,
     "numpy[extra]==2 --hash=sha256:" + "a" * 64, "numpy==2.* --hash=sha256:" + "a" * 64],
)  # fmt: skip
def test_a_line_that_is_not_a_package_with_hashes_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not a package with its hashes") as caught:
        read(tmp_path, f"{LOCK}{line}\n")
    assert caught.value.kind == "bad_lock"


def test_the_bill_of_materials_fits_the_schema_and_lists_model_base_and_packages(tmp_path: Path) -> None:
    manifest = {"annotations": {BASE: "python:3.11-slim", BASE_DIGEST: f"sha256:{'c' * 64}"}}
    runtime = Runtime("a" * 64, f"sha256:{'e' * 64}", manifest, {})
    packages = read(tmp_path, LOCK)
    spec = make_spec(tmp_path)
    sbom = make_sbom(spec, packages, runtime, DIGEST, f"registry.example/slipway/models@{DIGEST}")
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(sbom))
    assert problem is None, problem
    kinds = [part["type"] for part in sbom["components"]]
    assert kinds == ["machine-learning-model", "container", "library", "library"]
    assert sbom["components"][0]["hashes"][0]["content"] == spec.file.sha256
    assert sbom == make_sbom(spec, packages, runtime, DIGEST, f"registry.example/slipway/models@{DIGEST}")


def test_an_address_of_a_registry_is_taken_apart() -> None:
    access = registry_access("https://me:p%40ss@registry.example:5000/team/slipway/", "/ca.pem")
    assert access is not None
    assert (access.url, access.username, access.password) == (
        "https://registry.example:5000/team/slipway", "me", "p@ss",
    )  # fmt: skip
    assert "p@ss" not in repr(access)
    address = parse_address(access)
    assert (address.host, address.repository("models")) == ("registry.example:5000", "team/slipway/models")
    assert registry_access("") is None


@pytest.mark.parametrize(
    "url",
    ["registry.example/slipway", "ftp://registry.example", "https://", "https://registry.example/Upper",
     "https://registry.example/a//b", "https://registry.example/a?b=c", "https://registry.example:port",
     "http://registry.example/slipway", "http://10.0.0.7:5000/slipway"],
)  # fmt: skip
def test_what_is_no_address_of_a_registry_or_would_be_plain_is_refused(url: str) -> None:
    with pytest.raises(ToolError) as caught:
        parse_address(registry_access(url))  # type: ignore[arg-type]
    assert (caught.value.kind, caught.value.permanent) == ("bad_registry", True)


def test_plain_http_is_fine_on_this_machine() -> None:
    for url in ("http://127.0.0.1:5000/slipway", "http://localhost:5000", "http://[::1]:5000/x"):
        access = registry_access(url)
        assert access is not None
        assert parse_address(access).scheme == "http"
