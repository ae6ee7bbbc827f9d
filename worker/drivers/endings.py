"""Why a replica ended: a stable word, what happened and what to do about it, and the line of its log that shows it."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.specs import Message, gettext_noop


@dataclass(frozen=True)
class Ending:
    kind: str
    reason: Message
    log: str = ""
    exit_code: int | None = None


_REASONS = {
    "stopped": gettext_noop(
        "It was told to stop from outside and ended in order. Find out who or what stops programs on that machine."
    ),
    "refused_model": gettext_noop("The server refused to serve this model. Look at the log line, then build again."),
    "golden_mismatch": gettext_noop(
        "It answers its golden sample differently than when it was examined: output %(output)s %(how)s. It gets no"
        " traffic. Examine the version again, or look for what changed in its packages or on this machine."
    ),
    "start_failed": gettext_noop(
        "It could not be started on this machine: %(detail)s. Check the target, and start it again once that is mended."
    ),
    "out_of_memory": gettext_noop("It needed more memory than it may use. Give it more, or serve a smaller model."),
    "too_many_threads": gettext_noop(
        "It started more threads than it may. Propose it with fewer processors, since libraries start a thread for"
        " each, or serve a smaller model."
    ),
    "killed": gettext_noop(
        "It was killed from outside, or the machine was restarted. If nobody did either, look in the log of the machine"
        " whether it ran out of memory."
    ),
    "crashed": gettext_noop(
        "It crashed with exit code %(code)s. Read its log from the line shown here upwards, and mend the model or its"
        " packages."
    ),
    "crashed_by_signal": gettext_noop(
        "It crashed with signal %(signal)s, which is a fault in native code. Try other versions of its packages, or"
        " save the model in another format."
    ),
}


def explain(report: Mapping[str, Any], log: Sequence[str]) -> Ending:
    """Read the warden's report (empty where nobody lived to write one) and the end of the log."""
    code = report.get("exit_code")
    line = telling_line(log)
    if "trouble" in report:
        detail = str(report["trouble"])
        return Ending("start_failed", Message(_REASONS["start_failed"], {"detail": detail}), detail)
    kind = _kind(report, code, line)
    facts = _facts(log) if kind == "refused_model" else {}
    if facts.get("kind") == "golden_mismatch":
        return Ending("golden_mismatch", mismatch(facts), line, code)
    if kind == "crashed" and code is None:
        name = signal.Signals(report["signal"]).name
        return Ending(kind, Message(_REASONS["crashed_by_signal"], {"signal": name}), line)
    params = {"code": code} if kind == "crashed" else {}
    return Ending(kind, Message(_REASONS[kind], params), line, code)


def mismatch(facts: Mapping[str, Any]) -> Message:
    """What the server says of a golden sample that was answered differently, for people."""
    shown = {"output": str(facts.get("output", "?")), "how": str(facts.get("how", "?"))[:200]}
    return Message(_REASONS["golden_mismatch"], shown)


def _facts(log: Sequence[str]) -> Mapping[str, Any]:
    """What the server's last complaint holds beside its words."""
    records = (record for line in reversed(log) if (record := _record(line)))
    return next((record for record in records if record.get("level") == "error"), {})


def _kind(report: Mapping[str, Any], code: int | None, line: str) -> str:
    exceeded = report.get("exceeded")
    if exceeded == "memory" or (code and "MemoryError" in line):
        return "out_of_memory"
    if exceeded == "processes":
        return "too_many_threads"
    if code == 0:
        return "stopped"
    if code == os.EX_CONFIG:
        return "refused_model"
    if code is None and report.get("signal", signal.SIGKILL) in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        return "killed"
    return "crashed"


def telling_line(log: Sequence[str]) -> str:
    """The last line that says something: an error of the server's, or the end of a traceback."""
    for line in reversed(log):
        record = _record(line)
        if record is None and line.strip():
            return line.strip()
        if record and record.get("level") == "error":
            return str(record.get("reason") or record.get("event") or line)
    return ""


def _record(line: str) -> dict[str, Any] | None:
    """A line of the server's own log, which is JSON; anything else came from a library or a traceback."""
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
