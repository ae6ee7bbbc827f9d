"""Packages are laid once; everything after that is put together in the registry, always with the same digest."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.build_hosts import BuildHost
from tests.engines.image.conftest import First
from tests.engines.image.making import KEYS, NOWHERE, retrained, settings_for
from tests.engines.registries import PASSWORD, USER, Registry
from worker.builders.image.builder import ImageBuilder
from worker.builders.image.client import RegistryClient
from worker.builders.image.engine import Engine
from worker.builders.image.locked import Locked, read_lock
from worker.builders.image.runtime import ensure_runtime
from worker.builders.image.verification import verify, verify_stored
from worker.errors import ToolError
from worker.specs import BuildSpec

REUSED = "The registry has the packages already; nothing is built"


def step(result_steps: tuple, name: str) -> str:
    return str(next(step.detail for step in result_steps if step.name == name))


def test_a_first_build_lays_packages_and_names_the_image_by_digest(first: First, registry: Registry) -> None:
    result = first.result
    assert [step.name for step in result.steps if step.name != "golden"] == [
        "lock", "bundle", "packages", "assemble", "provenance",
    ]  # fmt: skip
    assert result.location == f"{registry.address}/slipway/models@{result.digest}"
    assert step(result.steps, "packages") == "The packages, installed by hash on python:3.11-slim"
    assert registry.blob(result.digest).exists()


def test_the_log_tells_what_happens_while_it_happens(first: First) -> None:
    text = "\n".join(first.log)
    assert "no image with these packages yet" in text
    assert "Successfully installed" in text
    assert "layer 1 of" in text


def test_what_was_built_passes_its_own_verification(first: First, registry: Registry) -> None:
    result = first.result
    verify(
        result.attachments,
        location=result.location,
        digest=result.digest,
        subject=first.spec.subject,
        keys=KEYS,
    )
    verify_stored(registry.access, result.location)


def test_the_build_host_keeps_the_base_image_and_nothing_else(first: First, build_host: BuildHost) -> None:
    client = build_host.client
    assert [image.tags for image in client.images.list(all=True)] == [["python:3.11-slim"]]
    assert client.containers.list(all=True) == []
    client.close()


def test_other_weights_need_neither_packages_nor_an_engine(first: First, registry: Registry, tmp_path: Path) -> None:
    spec = retrained(first.spec, tmp_path)
    result = ImageBuilder(settings_for(registry)).build(spec, first.home)
    assert step(result.steps, "packages") == REUSED
    assert result.digest != first.result.digest
    assert result.lock_digest == first.result.lock_digest
    with RegistryClient(registry.access) as client:
        assert len(list(client.tags("slipway/runtimes"))) == 1
        before = _layers(client, first.result.digest)
        after = _layers(client, result.digest)
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_two_data_folders_make_the_same_image(first: First, registry: Registry, tmp_path: Path) -> None:
    again = ImageBuilder(settings_for(registry)).build(first.spec, tmp_path / "another")
    assert (again.digest, again.location) == (first.result.digest, first.result.location)
    assert again.attachments["sbom"] == first.result.attachments["sbom"]
    assert step(again.steps, "assemble").startswith("0.0 MB sent")


def test_an_assembled_image_runs_without_rights_and_answers(first: First, build_host: BuildHost) -> None:
    client = build_host.client
    auth = {"username": USER, "password": PASSWORD}
    client.api.pull(first.result.location, auth_config=auth)
    container = client.containers.run(
        first.result.location, detach=True, read_only=True, tmpfs={"/tmp": ""}, network_mode="none", cap_drop=["ALL"]
    )
    try:
        deadline = time.monotonic() + 60
        while container.exec_run(["/opt/environment/bin/python", "/opt/healthcheck.py"]).exit_code:
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.2)
        assert container.exec_run(["id", "-u"]).output.decode().strip() == "10001"
        assert container.exec_run(["touch", "/opt/bundle/x"]).exit_code != 0
        assert container.exec_run(["ls", "/build"]).exit_code != 0  # the index's password was in there
        assert container.exec_run(["python", "-m", "pip", "--version"]).exit_code != 0
    finally:
        container.remove(force=True)
        client.images.remove(first.result.location, force=True)
        client.close()


def test_a_package_with_another_hash_is_not_installed(
    registry: Registry, build_host: BuildHost, tmp_path: Path
) -> None:
    packages = (Locked("packaging", "25.0", (f"sha256:{'a' * 64}",)),)
    with RegistryClient(registry.access) as client, pytest.raises(ToolError, match="HASHES") as caught:
        ensure_runtime(client, settings_for(registry, build_host), packages, tmp_path, [].append)
    assert caught.value.kind == "packages"


def test_a_base_image_with_another_python_is_named(registry: Registry, build_host: BuildHost, tmp_path: Path) -> None:
    settings = replace(settings_for(registry, build_host), base_python="3.12")
    packages = (Locked("packaging", "25.0", (f"sha256:{'a' * 64}",)),)
    with RegistryClient(registry.access) as client, pytest.raises(ToolError, match=r"Python 3\.11, not 3\.12"):
        ensure_runtime(client, settings, packages, tmp_path, [].append)


def test_a_build_host_that_does_not_answer_is_named(registry: Registry) -> None:
    settings = replace(settings_for(registry), build_host=NOWHERE)
    with pytest.raises(ToolError, match="SLIPWAY_BUILD_HOST") as caught, Engine(settings):
        pass
    assert (caught.value.kind, caught.value.permanent) == ("build_host", False)


def test_a_stored_model_with_a_flipped_byte_is_not_built(first: First, registry: Registry, tmp_path: Path) -> None:
    data = bytearray(first.spec.file.path.read_bytes())
    data[20] ^= 1
    (tmp_path / "flipped").write_bytes(data)
    spec: BuildSpec = replace(first.spec, file=replace(first.spec.file, path=tmp_path / "flipped"))
    with pytest.raises(ToolError, match="not the one that was approved") as caught:
        ImageBuilder(settings_for(registry)).build(spec, tmp_path / "home")
    assert caught.value.kind == "digest_mismatch"


def test_packages_under_a_moved_tag_are_not_taken(first: First, registry: Registry, tmp_path: Path) -> None:
    """Whoever can write to the registry cannot slip other packages under the next model."""
    (note,) = (first.home / "runtimes").glob("*.json")
    key = note.stem
    with RegistryClient(registry.access) as client:
        good = client.get_manifest("slipway/runtimes", key)
        assert good is not None
        document = json.loads(good[0])
        document["annotations"]["slipway.base"] = "evil"
        client.put_manifest("slipway/runtimes", key, json.dumps(document).encode())
        try:
            again = ImageBuilder(settings_for(registry)).build(first.spec, first.home)
        finally:
            client.put_manifest("slipway/runtimes", key, good[0])
    assert again.digest == first.result.digest
    assert json.loads(note.read_text())["digest"] == good[1]


def test_the_lock_is_for_the_image_and_not_for_this_machine(first: First) -> None:
    (path,) = (first.home / "locks").glob("*.txt")
    assert path.read_text().startswith("# Python 3.11 linux ")
    assert {"numpy", "onnxruntime", "orjson", "uvloop", "httptools"} <= {one.name for one in read_lock(path)}


def _layers(client: RegistryClient, digest: str) -> list[str]:
    found = client.get_manifest("slipway/models", digest)
    assert found is not None
    return [layer["digest"] for layer in json.loads(found[0])["layers"]]
