"""What the server tells about itself and its model, as the protocol's plain JSON objects."""

import hashlib
import hmac
import time
from typing import Any

import orjson

from .manifest import Manifest
from .metrics import Histogram, Metrics

SERVER_NAME = "slipway-runtime"
SERVER_VERSION = "1"
EXTENSIONS = ("binary_tensor_data", "statistics", "model_repository")
PLATFORMS = {
    "onnx": "onnx_onnxv1",
    "skops": "sklearn_skops",
    "xgboost": "xgboost_booster",
    "lightgbm": "lightgbm_booster",
}


def describe_server() -> dict[str, Any]:
    return {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": list(EXTENSIONS)}


def describe_model(manifest: Manifest, versions: list[str]) -> dict[str, Any]:
    """Model metadata from the stored signature. Class labels, where known, are among the parameters, as a JSON text:
    the protocol's parameters are strings, numbers or booleans."""
    signature = manifest.signature
    description: dict[str, Any] = {
        "name": manifest.model,
        "versions": versions,
        "platform": PLATFORMS.get(manifest.format, manifest.format),
        "inputs": [tensor.to_json() for tensor in signature.inputs],
        "outputs": [tensor.to_json() for tensor in signature.outputs],
    }
    if manifest.labels:
        description["parameters"] = {"labels": orjson.dumps(manifest.labels).decode()}
    return description


def describe_repository(manifest: Manifest, ready: bool) -> list[dict[str, str]]:
    """The repository extension's index: exactly one model."""
    state, reason = ("READY", "") if ready else ("UNAVAILABLE", "not ready")
    return [{"name": manifest.model, "version": manifest.version, "state": state, "reason": reason}]


def describe_statistics(manifest: Manifest, metrics: Metrics) -> dict[str, Any]:
    """Triton's statistics extension; times are nanoseconds, ``last_inference`` is milliseconds since the epoch."""
    ago = time.perf_counter() - metrics.last_inference
    row = {
        "name": manifest.model,
        "version": manifest.version,
        "last_inference": int((time.time() - ago) * 1000) if metrics.last_inference else 0,
        "inference_count": int(metrics.batch.sum),
        "execution_count": metrics.compute.count,
        "inference_stats": {
            "success": _duration(metrics.succeeded, metrics.succeeded_seconds),
            "fail": _duration(metrics.failed, metrics.failed_seconds),
            "queue": _total(metrics.queue),
            "compute_input": _duration(0, 0.0),  # reading and writing tensors is not measured apart
            "compute_infer": _total(metrics.compute),
            "compute_output": _duration(0, 0.0),
        },
        "batch_stats": [],
    }
    return {"model_stats": [row]}


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}


def _total(histogram: Histogram) -> dict[str, int]:
    return _duration(histogram.count, histogram.sum)


def prove_identity(secret: bytes, subject: str, nonce: str) -> str:
    """Show that whoever answers holds the replica's secret and serves this subject: hex HMAC-SHA256."""
    return hmac.new(secret, f"{subject}:{nonce}".encode(), hashlib.sha256).hexdigest()
