"""Secrets for the compose file: all that it names, made once, and readable where they must be."""

import re
import ssl
import subprocess
import sys
from pathlib import Path

import yaml

from controlplane.credentials import bcrypt, make_all
from tests.controlplane.running import ROOT

NAMED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"]


def test_every_secret_of_the_compose_file_is_made_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [sys.executable, "-m", "controlplane.credentials", str(folder), "--registry", "images.example.com"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert {path.name for path in folder.iterdir()} == set(NAMED)
    assert {entry["file"] for entry in NAMED.values()} == {f"./secrets/{path.name}" for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_second_run_changes_nothing_and_adds_what_is_missing(tmp_path: Path) -> None:
    make_all(tmp_path, "registry")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("redis_conf", "redis_url"):
        (tmp_path / name).unlink()
    assert make_all(tmp_path, "registry") == ["redis_conf", "redis_url"]
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"redis_conf", "redis_url"}
    assert make_all(tmp_path, "registry") == []


def test_registry_certificate_can_be_trusted_by_itself(tmp_path: Path) -> None:
    make_all(tmp_path, "images.example.com")
    context = ssl.create_default_context(cafile=str(tmp_path / "registry_ca"))
    (authority,) = context.get_ca_certs()
    assert authority["subjectAltName"] == (("DNS", "images.example.com"),)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        tmp_path / "registry_certificate", tmp_path / "registry_key"
    )


def test_no_two_runs_make_the_same_password(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make_all(tmp_path / name, "registry")
    for name in NAMED:
        assert (tmp_path / "one" / name).read_text() != (tmp_path / "two" / name).read_text(), name


def test_password_of_the_registry_is_kept_as_bcrypt() -> None:
    assert re.fullmatch(r"\$2y\$10\$[./A-Za-z0-9]{53}", bcrypt("secret"))
    assert bcrypt("secret") != bcrypt("secret")
