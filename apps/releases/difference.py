"""What a proposed version would change against the one that runs: plain rows for a two-column table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from apps.library.models import ModelVersion


@dataclass(frozen=True)
class Difference:
    """One fact of both versions; ``old`` is empty where nothing runs yet."""

    label: str
    old: str
    new: str

    @property
    def is_changed(self) -> bool:
        return self.old != self.new


def differences(new: ModelVersion, old: ModelVersion | None) -> list[Difference]:
    """Every fact that a reviewer compares, in the order of the review sheet."""
    facts: list[tuple[str, Callable[[ModelVersion], str]]] = [
        (_("Version"), str),
        (_("Framework"), lambda v: f"{v.framework} {v.framework_version}".strip()),
        (_("Served as"), lambda v: v.served_format),
        (_("Inputs"), lambda v: tensors(v, "inputs")),
        (_("Outputs"), lambda v: tensors(v, "outputs")),
        (_("Size"), lambda v: filesizeformat(v.size)),
        (_("Latency of one call"), lambda v: latency(v)),
        (_("Throughput on one core"), throughput),
        (_("Memory once loaded"), memory),
        (_("Parity with the original"), parity),
        (_("Packages"), lambda v: ", ".join(v.requirements) or "–"),
        (_("Uploaded by"), lambda v: str(v.uploaded_by)),
    ]
    return [Difference(label, read(old) if old else "", read(new)) for label, read in facts]


def tensors(version: ModelVersion, side: str) -> str:
    rows = (version.signature or {}).get(side, [])
    return "; ".join(f"{row['name']} {row['datatype']} {_shape(row['shape'])}" for row in rows)


def latency(version: ModelVersion) -> str:
    measured: dict[str, Any] = version.profile.get("latency_ms") or {}
    if "p50" not in measured:
        return "–"
    return _("%(p50).3g ms median, %(p99).3g ms p99") % {"p50": measured["p50"], "p99": measured.get("p99", 0)}


def throughput(version: ModelVersion) -> str:
    measured: dict[str, Any] = version.profile.get("throughput") or {}
    if not measured.get("rows_per_second"):
        return "–"
    return _("%(rate)s rows a second") % {"rate": f"{measured['rows_per_second']:,.0f}"}


def memory(version: ModelVersion) -> str:
    used = version.profile.get("memory_bytes")
    return filesizeformat(used) if used else "–"


def parity(version: ModelVersion) -> str:
    seen = version.parity
    if "max_abs_diff" not in seen:
        return _("served as uploaded")
    words = _("worst deviation %(worst).2g over %(samples)s samples")
    if seen.get("where"):
        words = _("worst deviation %(worst).2g over %(samples)s samples, in %(where)s")
    return words % {
        "worst": seen["max_abs_diff"],
        "where": seen.get("where"),
        "samples": seen.get("samples", "?"),
    }


def _shape(shape: list[int]) -> str:
    return "[" + ", ".join(_("any") if size == -1 else str(size) for size in shape) + "]"
