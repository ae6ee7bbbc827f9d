"""A build leaves a shared, locked environment and a bundle; half-built ones are never taken for whole.

Packages come from uv's cache alone where it has them.
"""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.worker.builders.making import GOLDEN, make_spec
from worker import sandbox
from worker.builders.base import BuildSettings
from worker.builders.environment import EnvironmentBuilder
from worker.builders.locking import lock, pin
from worker.builders.registry import open_builder
from worker.builders.venvs import ensure_environment, is_complete, lock_digest
from worker.errors import ToolError
from worker.specs import BuildResult

PURE = ("packaging==" + version("packaging"),)
walled = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")
SERVING = ("onnxruntime==" + version("onnxruntime"),)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> BuildSettings:
    """Offline where the cache has everything, so that the tests need no network on a machine that has run them."""
    offline = BuildSettings(offline=True)
    try:
        for requirements in (PURE, SERVING):
            lock(pin(requirements), tmp_path_factory.mktemp("probe"), offline)
    except ToolError:
        return BuildSettings()
    return offline


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builds")


@pytest.fixture(scope="session")
def first(settings: BuildSettings, home: Path) -> BuildResult:
    return EnvironmentBuilder(settings).build(make_spec(home, SERVING), home)


def test_a_build_reports_its_places_digests_and_steps(first: BuildResult, home: Path) -> None:
    assert first.location == str(home / "bundles" / first.digest)
    assert first.environment == str(home / "environments" / first.lock_digest)
    assert [step.name for step in first.steps][:3] == ["lock", "environment", "bundle"]


@walled
def test_what_was_packed_has_answered_its_golden_sample(first: BuildResult) -> None:
    assert first.steps[-1].name == "golden"
    assert str(first.steps[-1].detail) == "The golden sample is answered exactly as when it was examined"


def test_a_machine_without_a_sandbox_says_that_nothing_was_compared(
    first: BuildResult, settings: BuildSettings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "strongest", lambda: None)
    last = EnvironmentBuilder(settings).build(make_spec(home, SERVING), home).steps[-1]
    assert last.name == "golden"
    assert "no sandbox" in str(last.detail)


@walled
def test_a_model_that_answers_its_golden_sample_differently_is_not_built(
    first: BuildResult, settings: BuildSettings, home: Path
) -> None:
    spec = make_spec(home, SERVING)
    golden = {
        "request": GOLDEN["request"],
        "response": {"outputs": [{**GOLDEN["response"]["outputs"][0], "data": [2.0, 4.5]}]},
    }
    with pytest.raises(ToolError, match=r"output y differs by up to 0\.5, tolerance 0\.0001") as caught:
        EnvironmentBuilder(settings).build(replace(spec, golden=golden), home)
    assert (caught.value.kind, caught.value.permanent) == ("golden_mismatch", True)


@walled
def test_a_model_that_does_not_load_is_told_so_by_the_build(
    first: BuildResult, settings: BuildSettings, home: Path
) -> None:
    with pytest.raises(ToolError, match="does not start: the environment lacks what") as caught:
        EnvironmentBuilder(settings).build(replace(make_spec(home, SERVING), format="xgboost"), home)
    assert caught.value.kind == "refused_model"


def test_the_environment_holds_the_runtimes_packages_at_this_processs_versions(first: BuildResult) -> None:
    code = "import httptools, numpy, orjson, uvloop, onnxruntime; print(numpy.__version__)"
    python = Path(first.environment, "bin", "python")
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("numpy")


def test_every_package_is_locked_by_hash(first: BuildResult, home: Path) -> None:
    locks = [path for path in (home / "locks").glob("*.txt") if lock_digest(path) == first.lock_digest]
    requirements = [line for line in locks[0].read_text().splitlines() if "==" in line]
    assert len(requirements) >= 5
    assert all(line.endswith("\\") for line in requirements)
    assert locks[0].read_text().count("--hash=sha256:") >= len(requirements)


def test_building_again_costs_next_to_nothing(first: BuildResult, settings: BuildSettings, home: Path) -> None:
    started = time.monotonic()
    again = EnvironmentBuilder(settings).build(make_spec(home, SERVING), home)
    assert time.monotonic() - started < 1.0
    assert (again.digest, again.environment) == (first.digest, first.environment)


@pytest.fixture
def small(settings: BuildSettings, tmp_path: Path) -> Path:
    """A lock of one small package, quick to install."""
    return lock(PURE, tmp_path, settings)


def test_an_environment_that_was_not_finished_is_built_again(
    small: Path, settings: BuildSettings, tmp_path: Path
) -> None:
    environment = ensure_environment(small, tmp_path, settings)
    (environment / ".complete").unlink()
    (environment / "half-written").touch()
    assert ensure_environment(small, tmp_path, settings) == environment
    assert is_complete(environment)
    assert not (environment / "half-written").exists()


def test_an_environment_whose_interpreter_is_gone_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / ".complete").touch()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "uninstalled")
    assert not is_complete(tmp_path)


def test_two_builders_at_once_make_one_environment(small: Path, settings: BuildSettings, tmp_path: Path) -> None:
    results: list[Path] = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_environment(small, tmp_path, settings))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len([each for each in (tmp_path / "environments").iterdir() if each.is_dir()]) == 1
    assert is_complete(results[0])


@pytest.mark.parametrize(
    "requirement",
    ["onnx", "onnx>=1", "onnx==1.*", "onnx==1,==2", "onnx[reference]==1.2", "onnx @ https://example.org/onnx.whl",
     "onnx==1; python_version > '3'", "--index-url=http://example.org", "-e .", "../evil", ""],
)  # fmt: skip
def test_requirements_that_are_not_exact_are_refused_by_name(requirement: str) -> None:
    with pytest.raises(ToolError, match="not exact") as caught:
        pin([requirement])
    assert (caught.value.kind, caught.value.permanent) == ("bad_requirement", True)


def test_pins_are_sorted_and_the_models_own_win() -> None:
    assert pin(["Zope.Interface==1.0", "numpy==1.0"])[1] == "numpy==1.0"
    assert pin(["Zope.Interface==1.0", "b==2"]) == pin(["b==2", "zope-interface==1.0"])


def test_a_version_that_does_not_exist_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"packaging") as caught:
        lock(pin(["packaging==0.0.0.1"]), tmp_path, BuildSettings(offline=True))
    assert caught.value.kind == "packages"
    assert not list((tmp_path / "locks").iterdir())


def test_the_workers_own_secrets_do_not_reach_the_installer(
    settings: BuildSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_SECRET_KEY", "canary")
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(_script(tmp_path)))
    path = lock(pin(PURE), tmp_path, settings)
    assert "PATH=" in path.read_text()
    assert "canary" not in path.read_text()


def _script(folder: Path) -> Path:
    script = folder / "uv"
    script.write_text(f"#!{sys.executable}\nimport os\nfor item in os.environ.items(): print('='.join(item))\n")
    script.chmod(0o755)
    return script


def test_a_place_that_cannot_be_written_is_said_so(settings: BuildSettings, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, PURE)
    (tmp_path / "locks").write_text("a file where a folder should be")
    with pytest.raises(ToolError, match="could not be stored") as caught:
        EnvironmentBuilder(settings).build(spec, tmp_path)
    assert (caught.value.kind, caught.value.permanent) == ("storage", False)


def test_the_registry_names_the_builders_there_are() -> None:
    assert isinstance(open_builder("environment"), EnvironmentBuilder)
    with pytest.raises(ToolError, match="environment, fake"):
        open_builder("nothing")
