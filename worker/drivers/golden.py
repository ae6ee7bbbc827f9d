"""The golden sample, asked of a running replica the way a client will: before it gets traffic."""

import http.client
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from worker.drivers.endings import mismatch
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

TIMEOUT_SECONDS = 30.0
TOLERANCE = 1e-4  # relative and absolute, as the replica's own
LONGEST = 64 << 20  # bytes of an answer

_EQUAL = gettext_noop("Replica %(index)s answered its golden sample exactly as when it was examined")
_CLOSE = gettext_noop("Replica %(index)s answered its golden sample at most %(worst)s apart, in %(output)s")


def replay(address: str, secret: str, model: str, golden: Mapping[str, Any], index: int) -> Message:
    """How the replica at ``host:port`` answers the golden request, in words.

    ToolError ``golden_mismatch`` (permanent) names the output that deviates and by how much; OSError and
    HTTPException where the replica cannot be asked.
    """
    status, body = _post(address, secret, f"/v2/models/{quote(model, safe='')}/infer", golden["request"])
    if status != 200:
        raise _different("-", f"was refused with status {status}")
    found = {item.get("name"): item for item in _outputs(body)}
    worst, where = 0.0, ""
    for expected in golden["response"]["outputs"]:
        deviation = _deviation(expected, found.get(expected["name"]))
        if deviation > worst:
            worst, where = deviation, str(expected["name"])
    if not where:
        return Message(_EQUAL, {"index": index})
    return Message(_CLOSE, {"index": index, "worst": f"{worst:.2g}", "output": where})


def _post(address: str, secret: str, path: str, document: Any) -> tuple[int, bytes]:
    host, _colon, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    headers = {"X-Slipway-Secret": secret, "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(document).encode(), headers)
        response = connection.getresponse()
        return response.status, response.read(LONGEST)
    finally:
        connection.close()


def _outputs(body: bytes) -> list[dict[str, Any]]:
    try:
        return list(json.loads(body)["outputs"])
    except (ValueError, KeyError, TypeError):
        raise _different("-", "is no readable answer") from None


def _deviation(expected: Mapping[str, Any], got: Mapping[str, Any] | None) -> float:
    """How far one output is from the golden one, which has to be within the tolerance."""
    name = str(expected["name"])
    if got is None or got.get("shape") != expected["shape"]:
        raise _different(name, "is missing or has another shape")
    worst, is_fine = 0.0, True
    for wanted, value in _pairs(expected["data"], got.get("data", ())):
        gap = _gap(wanted, value)
        worst = max(worst, gap)
        if math.isinf(gap):
            raise _different(name, "holds other values")
        is_fine &= gap == 0.0 or gap <= TOLERANCE + TOLERANCE * abs(wanted)
    if not is_fine:
        raise _different(name, f"differs by up to {worst:.3g}, tolerance {TOLERANCE:g}")
    return worst


def _pairs(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The values side by side; what has no partner stands beside None."""
    for at in range(max(len(expected), len(got))):
        yield (expected[at] if at < len(expected) else None), (got[at] if at < len(got) else None)


def _gap(wanted: Any, value: Any) -> float:
    """Infinite where the values are no numbers and not the same. A missing number is None on both sides."""
    if wanted == value:
        return 0.0
    are_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (wanted, value))
    return abs(float(wanted) - float(value)) if are_numbers else math.inf


def _different(output: str, how: str) -> ToolError:
    return ToolError(mismatch({"output": output, "how": how}), kind="golden_mismatch", permanent=True, log=how)
