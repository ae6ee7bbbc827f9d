"""Logs stay short while they are written to, and are safe to show."""

import json
from pathlib import Path

from worker.drivers import logfiles
from worker.drivers.endings import telling_line


def test_a_log_that_is_too_long_is_emptied_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("a") as writer:
        writer.write("x" * 99 + "\n")
        writer.write(("y" * 1023 + "\n") * (logfiles.LONGEST // 1024))
        writer.flush()
        assert logfiles.last_lines(path, 1) == ["y" * 1023]
        assert path.stat().st_size == 0
        writer.write("after\n")
        writer.flush()
    assert logfiles.last_lines(path, 2) == ["y" * 1023, "after"]
    assert path.stat().st_size == 6


def test_control_characters_are_shown_as_such_and_long_lines_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\x1b[31mred\x07\n" + b"z" * 10_000 + b"\n\xff\n")
    assert logfiles.last_lines(path, 9) == ["�[31mred�", "z" * 2000, "�"]


def test_since_keeps_what_belongs_to_the_lines_it_keeps(tmp_path: Path) -> None:
    path = tmp_path / "log"
    old, new = (json.dumps({"at": f"2026-01-0{day}T00:00:00+00:00", "event": "e"}) for day in (1, 2))
    path.write_text(f"{old}\nof the old\n{new}\nof the new\n")
    assert logfiles.last_lines(path, 9, since=1767312000.0) == [new, "of the new"]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert logfiles.last_lines(tmp_path / "log", 9) == []


def test_the_telling_line_is_the_last_error_or_the_end_of_a_traceback() -> None:
    info, error = json.dumps({"level": "info", "event": "ready"}), json.dumps({"level": "error", "reason": "broken"})
    assert telling_line([error, info]) == "broken"
    assert telling_line([info, "Traceback", "  File x", "KeyError: 'a'", info, ""]) == "KeyError: 'a'"
    assert telling_line([info]) == ""
