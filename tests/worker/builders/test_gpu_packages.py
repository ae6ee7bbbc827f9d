"""A release that asks for GPUs gets the packages that use them: another lock, another image of packages."""

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from worker.builders.base import BuildSettings
from worker.builders.image.locked import Locked, read_lock
from worker.builders.image.runtime import runtime_key
from worker.builders.locking import Platform, for_gpus, lock, pin

PINS = pin([f"onnxruntime=={version('onnxruntime')}"])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Locked, ...]:
    """As an index tells them; nothing is installed."""
    place = Platform("3.11", "x86_64")
    return read_lock(lock(for_gpus(PINS), tmp_path_factory.mktemp("locks"), BuildSettings(), place))


def test_only_what_has_a_build_for_gpus_is_exchanged_and_no_version_changes() -> None:
    assert set(for_gpus(PINS)) ^ set(PINS) == {
        f"onnxruntime=={version('onnxruntime')}",
        f"onnxruntime-gpu[cuda,cudnn]=={version('onnxruntime')}",
    }


def test_the_lock_has_the_build_for_gpus_with_cudas_libraries_and_not_the_other(packages: tuple[Locked, ...]) -> None:
    found = {package.name: package for package in packages}
    assert found["onnxruntime-gpu"].version == version("onnxruntime")
    assert "onnxruntime" not in found
    assert {"numpy", "orjson", "uvloop", "httptools"} <= set(found)
    for library in ("cublas", "cudnn", "cufft", "curand", "cuda-runtime"):
        assert any(name.startswith(f"nvidia-{library}") for name in found), library
    assert all(package.hashes for package in packages)


def test_its_packages_are_an_image_of_their_own(packages: tuple[Locked, ...], tmp_path: Path) -> None:
    settings = BuildSettings()
    plain = read_lock(lock(PINS, tmp_path, settings, Platform("3.11", platform.machine())))
    assert runtime_key(settings, plain) != runtime_key(settings, packages)
