"""The task: a stored file goes through a real examination, and the version says what came of it."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from apps.core.leases import due
from apps.library.files import fetch_served
from apps.library.models import ModelVersion
from worker.tasks.examine import examine

Make = Callable[..., ModelVersion]


def doubling() -> bytes:
    """An ONNX file that doubles a row of four numbers."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    stream = io.BytesIO()
    onnx.save(model, stream)
    return stream.getvalue()


class Harmful:
    """A pickle of this asks for a shell when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("print('harm')",))


def states(version: ModelVersion) -> dict[str, str]:
    return dict(version.checks.values_list("key", "state"))


def test_a_sound_file_is_ready_and_is_served_as_it_came(upload_version: Make, tmp_path: Any) -> None:
    data = doubling()
    version = upload_version({"double.onnx": data, "README.md": b"# Doubles"})
    examine(version.pk)
    version.refresh_from_db()
    assert version.state == "ready", states(version)
    assert (version.served_format, version.framework) == ("onnx", "onnx")
    assert (version.signature or {})["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert fetch_served(version, tmp_path).path.read_bytes() == data
    assert version.profile["latency_ms"]["p50"] > 0
    assert version.profile["throughput"]["rows_per_second"] > 100
    packages = {package["name"]: package for package in version.profile["packages"]}
    assert packages["onnxruntime"]["licence"] == "MIT License"
    assert {"numpy", "httptools", "orjson", "protobuf"} < packages.keys()
    assert {"failed", "waiting", "running"}.isdisjoint(states(version).values())
    examine(version.pk)  # rung for twice
    assert version.checks.count() == len(states(version))


@pytest.mark.parametrize(
    ("name", "data"),
    [("broken.onnx", doubling()[:40]), ("harm.pkl", pickle.dumps(Harmful())), ("noise.bin", b"\x00\x01\x02" * 99)],
    ids=["truncated", "harmful", "unknown"],
)
def test_what_is_not_safe_or_whole_is_refused_by_one_failed_check(upload_version: Make, name: str, data: bytes) -> None:
    version = upload_version({name: data})
    examine(version.pk)
    version.refresh_from_db()
    assert version.state == "refused"
    [failed] = version.checks.filter(state="failed")
    assert failed.reason
    assert failed.advice
    assert not due(ModelVersion).exists()


@pytest.mark.parametrize(
    ("name", "value"), [("SLIPWAY_EXAMINE_SECONDS", 0.05), ("SLIPWAY_EXAMINE_MEMORY_BYTES", 64 << 20)]
)
def test_a_limit_is_a_setting_and_who_meets_it_is_told_which(
    upload_version: Make, settings: Any, name: str, value: float
) -> None:
    setattr(settings, name, value)
    version = upload_version({"double.onnx": doubling()})
    examine(version.pk)
    [failed] = version.checks.filter(state="failed")
    assert name in (failed.advice or {})["text"], failed.reason


def test_a_damaged_artifact_is_not_examined_but_tried_again_later(upload_version: Make, own_disk: Any) -> None:
    version = upload_version({"double.onnx": doubling()})
    [path] = (own_disk / "artifacts" / "sha256").rglob("*/*")
    path.chmod(0o640)
    path.write_bytes(b"flipped")
    examine(version.pk)
    version.refresh_from_db()
    assert version.state == "examining"
    assert version.due_at
    assert set(states(version).values()) == {"waiting"}
