"""Exports of the large frameworks that bring code of their own: MLflow folders, TorchScript, Keras, SavedModels."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.worker.inspection.cases import NAME, Case, zipped
from tests.worker.inspection.onnx_bytes import field

DATA = Path(__file__).with_name("data")
CODE = "code: null"
UNUSABLE = "MLmodel file of this MLflow folder cannot be used"
OPERATOR = "not on the list of operators that compute only"
FOREIGN = "which no such file has"
LAYER = "not on the list of layers that compute only"


def cases(payload: bytes) -> Iterator[Case]:
    """``payload`` is a pickle that would do harm."""
    yield from mlflow(payload)
    yield from torch(payload)
    yield from keras(payload)
    yield from tensorflow()


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def stored(members: Mapping[str, bytes]) -> bytes:
    """A zip as Keras and PyTorch write it: nothing is compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# --- MLflow -----------------------------------------------------------------------------------------------------------


def mlflow(payload: bytes) -> Iterator[Case]:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    changes = {
        "a loader of its own": ("loader_module: mlflow.onnx", "loader_module: evil.loader", "evil.loader"),
        "code beside the model": (CODE, "code: code", "folder code"),
        "a model outside the folder": ("data: model.onnx", "data: ../../etc/passwd", UNUSABLE),
        "a YAML tag that calls": (CODE, "code: !!python/object/apply:os.system [id]", UNUSABLE),
        "a YAML bomb": (CODE, f"{CODE}\n{laughs}", UNUSABLE),
        "deep YAML": (CODE, f"code: {'[' * 100_000}", UNUSABLE),
    }
    for label, (old, new, reason) in changes.items():
        yield Case(f"MLflow: {label}", f"MLflow: {label}", _changed("onnx", old, new), "content", reason)
    only = _members(DATA / "mlflow" / "pyfunc.zip")
    yield Case("MLflow: only Python", "MLflow: only Python", {"m.zip": zipped(only)}, "content", "which runs it")
    inner = _members(DATA / "mlflow" / "sklearn-pickle.zip")
    pickled = next(name for name in inner if name.endswith(".pkl"))
    armed = {"m.zip": zipped(inner | {pickled: payload})}
    yield Case("MLflow: a harmful pickle inside", "MLflow: a harmful pickle inside", armed, "safety", NAME)


def _changed(name: str, old: str, new: str) -> dict[str, bytes]:
    files = _members(DATA / "mlflow" / f"{name}.zip")
    place = next(each for each in files if each.endswith("MLmodel"))
    text = files[place].decode()
    assert old in text
    return {"m.zip": zipped(files | {place: text.replace(old, new).encode()})}


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def torch(payload: bytes) -> Iterator[Case]:
    """TorchScript whose code or members reach further than operators; pickled modules."""
    codes = {
        "reads a file": ('return torch.from_file("/etc/passwd")', "torch.from_file"),
        "writes a file": ('return ops.aten.save(x, "/tmp/x")', "ops.aten.save"),
        "calls another library": ("return ops.evil.run(x)", "ops.evil.run"),
    }
    for label, (code, name) in codes.items():
        yield _torch(f"code that {label}", script(code), f"calls {name}, which is {OPERATOR}")
    yield _torch("a pickle in its data", script("return x", **{"data.pkl": payload}), NAME)
    members = {
        "a pickle beside the code": ("code/x.pkl", payload),
        "a pickle of its own": ("extra/model.pkl", payload),
        "an archive inside": ("inner.zip", zipped({"data.pkl": payload})),
    }
    for label, (name, data) in members.items():
        yield _torch(label, script("return x", **{name: data}), f"m/{name}, {FOREIGN}")
    eager = {"model.pt": stored({"m/data.pkl": payload, "m/version": b"3"})}
    yield Case("PyTorch: a pickled module", "PyTorch: a pickled module", eager, "content", "PyTorch")
    old = {"model.pt": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + payload}
    yield Case("PyTorch: an old pickled module", "PyTorch: a pickled module", old, "content", "PyTorch")


def _torch(label: str, data: bytes, reason: str) -> Case:
    return Case(f"TorchScript: {label}", f"TorchScript: {label}", {"model.pt": data}, "safety", reason)


def script(body: str, **extra: bytes) -> bytes:
    """A TorchScript archive with one class and this line of code."""
    code = f"class Net(Module):\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    {body}\n"
    members = {
        "data.pkl": b"\x80\x02c__torch__\nNet\n)\x81}b.",
        "constants.pkl": b"\x80\x02).",
        "code/__torch__.py": code.encode(),
        "version": b"3",
    }
    return zipped({f"m/{name}": content for name, content in (members | extra).items()})


# --- Keras, TensorFlow ------------------------------------------------------------------------------------------------


def keras(payload: bytes) -> Iterator[Case]:
    nodes: dict[str, dict[str, Any]] = {
        "a Lambda": {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {}}}},
        "a function by its name": {"module": "os", "class_name": "system"},
        "a download": {"module": "keras.src.utils.file_utils", "class_name": "get_file"},
        "a vocabulary of the machine": {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        "a SavedModel of the machine": {"class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        "a pickled torch module": {"class_name": "TorchModuleWrapper", "config": {"module": "gASV"}},
        "a class of its own": {"class_name": "Dense", "registered_name": "mine>Dense"},
    }
    files = _members(DATA / "keras" / "model.keras")
    for label, node in nodes.items():
        layer = {"module": "keras.layers", "config": {}, "registered_name": None} | node
        model = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "registered_name": None}
        data = stored(files | {"config.json": json.dumps(model).encode()})
        yield Case(f"Keras: {label}", f"Keras: {label}", {"model.keras": data}, "safety", LAYER)
    others = {"a pickle inside": {"data.bin": payload}, "deep JSON": {"config.json": b"[" * 200_000}}
    for label, more in others.items():
        data = stored(files | more)
        yield Case(f"Keras: {label}", f"Keras: {label}", {"model.keras": data}, "safety", "Keras")


def tensorflow() -> Iterator[Case]:
    reader = (DATA / "tensorflow" / "reader.zip").read_bytes()
    yield Case("SavedModel that reads files", "SavedModel: operators", {"m.zip": reader}, "safety", "ReadFile")
    for operator in ("WriteFile", "PyFunc", "LoadLibrary"):
        graph = field(2, field(1, field(2, operator)))
        data = zipped({"m/saved_model.pb": b"\x08\x01" + field(2, graph)})
        yield Case(f"SavedModel with {operator}", "SavedModel: operators", {"m.zip": data}, "safety", OPERATOR)
