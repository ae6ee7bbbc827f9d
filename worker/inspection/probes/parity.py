"""How far the answers of two models are apart."""

from typing import Any

import numpy as np

from worker.inspection.probes.models import Arrays

TOLERANCE = 1e-4  # absolute, and relative to the reference


def compare(
    reference: Arrays, other: Arrays, margins: np.ndarray | None = None, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Worst deviation of numbers, with its output and row, and share of equal labels.

    Where the reference is at a tie, any label is right; ``ties`` counts those that differ.
    """
    samples = len(next(iter(reference.values())))
    found: dict[str, Any] = {
        "samples": samples, "max_abs_diff": 0.0, "tolerance": tolerance, "label_agreement": None, "passed": True,
    }  # fmt: skip
    worst_label: dict[str, Any] = {}
    for name, expected in reference.items():
        actual = other.get(name)
        if actual is None or actual.size != expected.size:
            return found | {"max_abs_diff": None, "passed": False, "missing": name}
        if name == "label" or expected.dtype.kind not in "fc":
            equal = (_as_text(expected) == _as_text(actual)).reshape(samples, -1).all(axis=1)
            found["ties"] = found.get("ties", 0) + int((~equal & _ties(margins, samples, tolerance)).sum())
            equal |= _ties(margins, samples, tolerance)
            found.update(label_agreement=float(equal.mean()), passed=found["passed"] and bool(equal.all()))
            worst_label = worst_label or ({} if equal.all() else {"where": name, "row": int(equal.argmin())})
            continue
        gap, is_fine = _gap(expected.reshape(samples, -1), actual.reshape(samples, -1), tolerance)
        found["passed"] &= is_fine
        if gap.max(initial=0.0) > found["max_abs_diff"]:
            row, _ = np.unravel_index(gap.argmax(), gap.shape)
            found.update(max_abs_diff=float(gap.max()), where=name, row=int(row))
    return found | worst_label


def _gap(expected: np.ndarray, actual: np.ndarray, tolerance: float) -> tuple[np.ndarray, bool]:
    """How far numbers are apart, and whether all are within the tolerance; two missing values are equal."""
    wanted, got = expected.astype(np.float64), actual.astype(np.float64)
    gap = np.abs(wanted - got)
    both_absent = np.isnan(wanted) & np.isnan(got)
    gap[both_absent | (wanted == got)] = 0.0
    is_fine = bool((gap <= tolerance + tolerance * np.abs(np.where(both_absent, 0.0, wanted))).all())
    return np.nan_to_num(gap, nan=np.inf), is_fine


def _as_text(values: np.ndarray) -> np.ndarray:
    return values.ravel().astype(str)


def _ties(margins: np.ndarray | None, samples: int, tolerance: float) -> np.ndarray:
    """The rows in which the two best classes are as good as equal."""
    if margins is None or len(margins) != samples:
        return np.zeros(samples, dtype=bool)
    scores = np.sort(margins, axis=1) if margins.ndim == 2 else np.stack([np.zeros(samples), np.abs(margins)], axis=1)
    return (
        np.asarray(scores[:, -1] - scores[:, -2] <= tolerance) if scores.shape[1] > 1 else np.zeros(samples, dtype=bool)
    )
