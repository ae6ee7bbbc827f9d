"""skops: opens and writes files with our list of names as the only ones trusted."""

import io
from pathlib import Path
from typing import Any

import skops.io
from skops.io.exceptions import UnsupportedTypeException

from worker.inspection.probes import estimators
from worker.inspection.probes.estimators import Estimator
from worker.inspection.probes.reporting import Failure


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> Estimator:
    """The model in a skops file."""
    return estimators.wrap(lambda: skops.io.load(path, trusted=trusted_types(path, allowed)))


def trusted_types(path: Path, allowed: frozenset[str]) -> list[str]:
    """What skops has to be told to trust for this file: nothing that is not on our list."""
    listed = {name.replace(":", ".") for name in allowed}
    wanted = set(skops.io.get_untrusted_types(file=path))
    if wanted - listed:
        raise Failure("forbidden", name=min(wanted - listed))
    return sorted(wanted)


def save(model: Any, path: Path) -> None:
    """Write the model as skops; ``no_form`` where that has no way to hold one of its parts."""
    buffer = io.BytesIO()
    try:
        skops.io.dump(model, buffer)
    except UnsupportedTypeException as error:
        raise Failure("no_form", error=str(error)[:200]) from error
    path.write_bytes(buffer.getvalue())
