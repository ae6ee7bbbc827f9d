"""The whole installation in containers, from its first start to its restoration from a backup."""

import contextlib
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import urllib3
from playwright.sync_api import expect

from tests.engines.compose.conftest import Open
from tests.engines.compose.stack import GATEWAY, OURS, STANDING, Stack
from tests.journeys import deadlines, steps
from tests.journeys.calls import wait_until
from tests.journeys.model_files import doubling

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}
DOUBLED = [2.0, 4.0, 6.0, 8.0]
PATH = f"/{steps.PROJECT}/double/v2/models/double/infer"
BACK_SECONDS = 240
UNPRIVILEGED = {
    "Privileged": False,
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges:true"],
}
NO_WALL = """{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["landlock_create_ruleset", "unshare"], "action": "SCMP_ACT_ERRNO"}]}"""
FIND_WALL = "from worker import sandbox; wall = sandbox.strongest(); print(wall and wall.kind)"


def infer(stack: Stack, key: str) -> Any:
    """The model's answer, or its refusal: the status and what it says."""
    answer = stack.call(GATEWAY, PATH, body=BODY, key=key)
    return answer.json()["outputs"][0]["data"] if answer.status == 200 else (answer.status, answer.data.decode())


@contextlib.contextmanager
def calling(stack: Stack, key: str) -> Iterator[Counter[str]]:
    """Two clients who call the model without a pause; what they are answered, counted."""
    answers: Counter[str] = Counter()
    is_over = threading.Event()

    def call() -> None:
        while not is_over.is_set():
            try:
                answers[str(infer(stack, key))] += 1
            except urllib3.exceptions.HTTPError as error:
                answers[repr(error)] += 1

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield answers
    finally:
        is_over.set()
        for caller in callers:
            caller.join()


def wait_for_model(stack: Stack, key: str) -> float:
    begun = time.monotonic()
    wait_until(lambda: infer(stack, key) == DOUBLED, BACK_SECONDS, what="the model answers")
    return time.monotonic() - begun


def test_everything_starts_from_the_compose_file_alone(running: Stack) -> None:
    assert sorted(one.labels["com.docker.compose.service"] for one in running.containers()) == sorted(STANDING)
    size = running.engine.images.get("slipway").attrs["Size"]
    base = running.engine.images.get("python:3.11-slim").attrs["Size"]
    running.figures["MB of the image above its base"] = (size - base) / 1e6
    assert size - base < 700e6


def test_our_containers_run_without_any_privilege(running: Stack) -> None:
    for one in running.containers(*OURS):
        settings = one.attrs["HostConfig"]
        found = {name: settings[name] for name in UNPRIVILEGED}
        assert found == UNPRIVILEGED, one.name
        _code, status = one.exec_run(["cat", "/proc/1/status"])
        facts = dict(line.split(":\t", 1) for line in status.decode().splitlines())
        assert facts["Uid"].split() == ["10001"] * 4, one.name
        assert (facts["CapEff"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2"), one.name


def test_no_password_is_in_an_environment_or_a_command(running: Stack) -> None:
    kept = ["broker_url", "database_url", "database_admin_password", "redis_url", "registry_url", "store_credentials"]
    secrets = [(running.folder / "secrets" / name).read_text().split(":")[-1].split("@")[0].strip() for name in kept]
    for one in running.containers():
        shown = str(one.attrs["Config"])
        assert [secret for secret in secrets if secret in shown] == [], one.name


def test_missing_password_stops_the_start_and_is_named(stack: Stack, tmp_path: Path) -> None:
    bare = Stack(stack.hosts, tmp_path / "bare")
    bare.folder.mkdir()
    for name in ("docker-compose.yml", ".env"):
        shutil.copy(stack.folder / name, bare.folder)
    with pytest.raises(AssertionError, match="bare/secrets/redis_conf"):
        bare.compose("up", "--detach", "cache")
    bare.down("--volumes")


@pytest.fixture(scope="module")
def key(running: Stack, open_browser: Open, tmp_path_factory: pytest.TempPathFactory) -> str:
    """From the set-up link to a key for a model that answers, as people do it."""
    file = tmp_path_factory.mktemp("models") / "double.onnx"
    onnx.save(doubling(), file)
    ada, dana, rhea = (open_browser(name) for name in ("Ada Lindqvist", "Dana Whitfield", "Rhea Okafor"))
    steps.set_up(ada, running.setup_path())
    steps.invite(ada, dana, "Data scientist")
    steps.invite(ada, rhea, "Reviewer")
    steps.upload(dana, file, model="double")
    steps.expect_examined(dana, "ready")
    dana.go(f"{steps.ROOM}/new-endpoint/")
    dana.page.get_by_label("Name", exact=True).fill("double")
    dana.page.get_by_label("Environment").select_option(label="production")
    dana.press("Save")
    steps.approve(rhea, steps.propose(dana, "double v1", "double", "Twice as much."), "Fine.")
    ada.go(f"{steps.ROOM}/targets/this-machine/")
    expect(ada.page.get_by_role("main")).to_contain_text("Landlock and seccomp", timeout=deadlines.PAGE * 1000)
    return steps.make_key(ada, "Compose", endpoints="*")


def test_a_model_is_uploaded_approved_and_called_through_the_gateway(running: Stack, key: str) -> None:
    wait_for_model(running, key)
    assert infer(running, key + "x")[0] == 401


def test_models_run_behind_landlock_and_not_at_all_where_even_that_is_missing(stack: Stack) -> None:
    profile = stack.folder / "no-wall.json"
    profile.write_text(NO_WALL)
    bounds = ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", "--tmpfs=/tmp", "--network=none"]
    alike = ["docker", "run", "--rm", *bounds]
    python = ["slipway", "python", "-c"]
    assert stack.run(*alike, *python, FIND_WALL).strip() == "landlock"
    bare = [*alike, f"--security-opt=seccomp={profile}"]
    assert stack.run(*bare, *python, FIND_WALL).strip() == "None"
    refused = (
        "from worker import sandbox, errors\ntry: sandbox.run(['true'])\nexcept errors.ToolError as e: print(e.kind)"
    )
    assert stack.run(*bare, *python, refused).strip() == "no_sandbox"


def test_workers_and_gateways_come_and_go_and_no_call_is_lost(running: Stack, key: str) -> None:
    def has_measured_both() -> bool:
        return running.sql("SELECT count(DISTINCT source) FROM monitoring_window WHERE requests > 0") == "2"

    with calling(running, key) as answers:
        running.up("--scale", "worker=2", "--scale", "gateway=2", "--no-recreate")
        assert len(running.containers("worker", "gateway")) == 4
        wait_until(has_measured_both, BACK_SECONDS, what="measurements of both gateways are collected")
        running.up("--scale", "worker=1", "--scale", "gateway=1", "--no-recreate")
        assert len(running.containers("worker", "gateway")) == 2
        time.sleep(2)  # for as long as the front may still know the one that has gone
    assert answers.keys() == {str(DOUBLED)}
    running.figures["calls while a second gateway came and went"] = answers.total()


def test_killed_containers_come_back_and_with_them_the_model(running: Stack, key: str) -> None:
    before = {one.id: one.attrs["State"]["Pid"] for one in running.containers()}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()

    def is_all_back() -> bool:
        now = {one.id: one.attrs["State"]["Pid"] for one in running.containers()}
        return now.keys() == before.keys() and all(now[name] not in (0, before[name]) for name in now)

    wait_until(is_all_back, BACK_SECONDS, what="every container runs again")
    wait_until(running.answers, BACK_SECONDS, what="web and gateway answer")
    wait_for_model(running, key)
    running.figures["seconds until the model answers after all containers were killed"] = time.monotonic() - begun


def test_down_and_up_again_keeps_everything(running: Stack, key: str) -> None:
    running.down()
    running.figures["seconds of a second start"] = running.up()
    wait_for_model(running, key)
    assert "whole" in running.manage("verify_audit")


def test_backup_restored_into_nothing_is_the_same_installation(running: Stack, key: str) -> None:
    entries = running.sql("SELECT count(*) FROM audit_entry")
    backup = Path(running.folder / "backup")
    running.run("sh", "-eu", "-c", script("Back up"))
    assert {file.name for file in backup.iterdir()} == {"audit.tar", "database.dump", "data.tar", "store.tar"}
    running.down("--volumes")
    assert running.engine.volumes.list() == []

    running.run("sh", "-eu", "-c", script("Restore"))
    running.up()

    wait_for_model(running, key)
    assert int(running.sql("SELECT count(*) FROM audit_entry")) >= int(entries)
    assert "whole" in running.manage("verify_audit")


def script(title: str) -> str:
    """The commands that the README gives under a title, as they stand there."""
    text = (Path(__file__).parents[3] / "README.md").read_text()
    commands = text.split(f"**{title}.**", 1)[1].split("```sh\n", 1)[1].split("```", 1)[0]
    return commands.replace("docker compose", "docker-compose")
