"""The golden sample, asked of what was just packed: with the packages it will run with, behind the sandbox's wall."""

import json
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.builders.locking import write_whole
from worker.errors import ToolError
from worker.sandbox import Limits, Outcome
from worker.specs import Message, gettext_noop

LIMITS = Limits(memory_bytes=8 << 30, seconds=300.0, cpu_seconds=300)

_EQUAL = gettext_noop("The golden sample is answered exactly as when it was examined")
_CLOSE = gettext_noop("The golden sample is answered as when it was examined, at most %(worst)s apart in %(output)s")
_NONE_KEPT = gettext_noop("It loads and answers; no golden sample was kept to compare with")
NO_WALL = gettext_noop(
    "Not compared here: this machine has no sandbox to run the model in. Each replica compares when it starts."
)
OTHER_PYTHON = gettext_noop(
    "Not compared here: the image has Python %(image)s and this machine %(here)s. Each replica compares when it starts."
)
_DIFFERENT = gettext_noop(
    "The packed model answers its golden sample differently than when it was examined: output %(output)s %(how)s."
    " Nothing is started. Examine the version again; if that passes, look for what changed in its packages."
)
_FAILED = gettext_noop("The packed model does not start: %(reason)s. Look at the log line, then build again.")


def replay_once(bundle: Path, environment: Path, home: Path) -> Message:
    """As ``replay``, but asked once for each bundle and environment; the answer is kept below ``home/replays``."""
    kept = home / "replays" / f"{bundle.name}-{environment.name}.json"
    if kept.exists():
        return Message(**json.loads(kept.read_bytes()))
    detail = replay(bundle, environment)
    kept.parent.mkdir(exist_ok=True)
    write_whole(kept, json.dumps(detail.to_json()))
    return detail


def replay(bundle: Path, environment: Path) -> Message:
    """How the packed model answers its golden sample, in words.

    ToolError ``golden_mismatch`` (permanent) names the output that deviates most and by how much; ``refused_model``
    where the model does not even load; ``no_sandbox`` where this machine has no wall to run it behind.
    """
    outcome = sandbox.run(
        [environment / "bin" / "python", "-m", "slipway_runtime", "check"],
        readable=[environment, bundle],
        limits=LIMITS,
        env={"SLIPWAY_BUNDLE": str(bundle)},
        cwd=bundle,
    )
    said = _last_record(outcome.stdout)
    if outcome.exit_code != 0 or said.get("event") != "checked":
        raise _error(outcome, said)
    if not said.get("is_replayed"):
        return Message(_NONE_KEPT)
    if not said.get("worst"):
        return Message(_EQUAL)
    return Message(_CLOSE, {"worst": f"{float(said['worst']):.2g}", "output": str(said.get("output"))})


def _last_record(stdout: bytes) -> dict[str, Any]:
    """The last line that is the server's own; libraries may chatter before it."""
    for line in reversed(stdout.decode("utf-8", "replace").splitlines()):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            return record
    return {}


def _error(outcome: Outcome, said: dict[str, Any]) -> ToolError:
    reason = str(said.get("reason") or outcome.stderr.strip().rpartition("\n")[2] or outcome.exceeded or "no answer")[
        :500
    ]
    if said.get("kind") == "golden_mismatch":
        shown = {"output": str(said.get("output")), "how": str(said.get("how"))[:200]}
        return ToolError(Message(_DIFFERENT, shown), kind="golden_mismatch", permanent=True, log=reason)
    is_lasting = not outcome.timed_out
    return ToolError(Message(_FAILED, {"reason": reason}), kind="refused_model", permanent=is_lasting, log=reason)
