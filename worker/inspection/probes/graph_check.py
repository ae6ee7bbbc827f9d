"""onnx's own full check of a file, with shapes inferred."""

from pathlib import Path

import onnx

from worker.inspection.probes.graphs import Graph
from worker.inspection.probes.graphs import open_model as open_session
from worker.inspection.probes.reporting import Failure, describe


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> Graph:
    """The model in an ONNX file, once onnx finds nothing wrong with it."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Failure("invalid_graph", error=describe(error)) from error
    return open_session(path, kind, allowed)
