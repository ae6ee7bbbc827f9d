"""How far the answers of two models are apart."""

from typing import Any

import numpy as np

from worker.inspection.probes.models import Arrays

TOLERANCE = 1e-4  # absolute, and relative to the reference


def compare(
    reference: Arrays, other: Arrays, margins: np.ndarray | None = None, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Worst deviation of numbers and share of equal labels; where the reference is at a tie, any label is."""
    worst, agreement, passed, samples = 0.0, None, True, len(next(iter(reference.values())))
    for name, expected in reference.items():
        actual = other.get(name)
        if actual is None or actual.size != expected.size:
            return {"samples": samples, "max_abs_diff": None, "tolerance": tolerance, "passed": False, "missing": name}
        if name == "label" or expected.dtype.kind not in "fc":
            equal = (_as_text(expected) == _as_text(actual)).reshape(samples, -1).all(axis=1)
            equal |= _ties(margins, samples, tolerance)
            agreement = float(equal.mean())
            passed &= bool(equal.all())
            continue
        wanted, got = expected.ravel().astype(np.float64), actual.ravel().astype(np.float64)
        gap = np.abs(wanted - got)
        both_absent = np.isnan(wanted) & np.isnan(got)
        gap[both_absent | (wanted == got)] = 0.0
        worst = max(worst, float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0)))
        passed &= bool((gap <= tolerance + tolerance * np.abs(np.where(both_absent, 0.0, wanted))).all())
    return {
        "samples": samples,
        "max_abs_diff": worst,
        "tolerance": tolerance,
        "label_agreement": agreement,
        "passed": passed,
    }


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
