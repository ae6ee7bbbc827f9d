"""What of a log line reaches the terminal."""

import json
from pathlib import Path

import pytest

from controlplane.up.logs import Screen, Tail, pick
from controlplane.up.supervision import End, read_end


def entry(level: str, **facts: str) -> str:
    return json.dumps({"level": level, "event": "broker_away", "logger": "apps.core.jobs", **facts})


def test_warnings_are_shown_with_their_facts_and_the_last_line_of_a_traceback() -> None:
    assert pick(entry("warning", pk="7")) == "warning: broker_away · pk=7"
    assert pick(entry("error", exception="Traceback\n  File\nValueError: no")) == "error: broker_away · ValueError: no"


@pytest.mark.parametrize(
    "line", [entry("info"), "[2026-11-21 00:02:51 +0000] [7] [INFO] Booting worker", '  File "x"', ""]
)
def test_everyday_lines_are_left_to_the_log(line: str) -> None:
    assert pick(line) == ""


def test_lines_that_are_no_log_entries_are_shown_without_time_and_process() -> None:
    assert pick("[2026-11-21 00:02:51 +0000] [7] [ERROR] Worker failed to boot.") == "[ERROR] Worker failed to boot."
    assert pick("ImportError: no module") == "ImportError: no module"


def test_part_that_writes_for_people_keeps_its_layout() -> None:
    assert pick("  dana   data scientist", is_for_people=True) == "  dana   data scientist"
    assert pick(entry("info"), is_for_people=True) == ""


def test_same_line_is_shown_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    for _ in range(3):
        screen.show("web      error: the same")
    assert capsys.readouterr().out.count("the same") == 1


def test_tail_reads_what_is_added_whole_lines_only_and_goes_on_after_rotation(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("before\n")
    tail = Tail(log)
    with log.open("a") as file:
        file.write("one\ntw")
    assert list(tail.read()) == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    assert list(tail.read()) == ["two"]
    log.rename(tmp_path / "web.log.1")
    log.write_text("new\n")
    assert list(tail.read()) == ["new"]


def test_supervisor_tells_of_parts_that_ended() -> None:
    killed = "2026-11-21 00:05:02,423 WARN exited: worker (terminated by SIGKILL; not expected)"
    assert read_end(killed) == End("worker", "SIGKILL")
    assert read_end("2026-11-21 00:05:02,423 INFO exited: demo (exit status 0; expected)") is None
    assert read_end("2026-11-21 00:05:02,423 INFO spawned: 'web' with pid 3") is None
