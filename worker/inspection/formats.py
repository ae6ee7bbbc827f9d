"""Recognises what a file is by its bytes, never by its name."""

import re
from typing import Any

from worker.inspection import archives, layers, onnx_files
from worker.inspection.refusals import Refusal

Buffer = Any  # bytes or mmap

HEAD = 4096

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"BZh", "bz2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x5d\x00\x00", "lzma"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"ZF0x", "old_joblib"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (257, b"ustar", "tar"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"),
    (4, b"TFL3", "tflite"),
    (0, b"GGUF", "gguf"),
    (0, b"\x93NUMPY", "npy"),
    (0, b"CBM1", "catboost"),
    (0, b"PAR1", "parquet"),
    (0, b"\x89PNG\r\n\x1a\n", "image"),
    (0, b"\xff\xd8\xff", "image"),
    (0, b"GIF8", "image"),
    (0, b"RIFF", "image"),
    (0, b"%PDF", "document"),
    (0, b"\x7fELF", "program"),
    (0, b"MZ", "program"),
    (0, b"SQLite format 3\x00", "database"),
    (0, b"binf", "old_xgboost"),
    (0, b"tree\nversion=v", "lightgbm"),
    (0, b"tree\r\nversion=v", "lightgbm"),
    (0, b"version https://git-lfs.github.com/spec/", "lfs"),
)
_PICKLE = re.compile(rb"\x80[\x00-\x05]")
_OLD_PICKLE = re.compile(  # protocols 0 and 1, by how they can begin
    rb"c[A-Za-z_][\w.]*\n[\w.]+\n|\((?:S['\"]|[IF]-?\d|V[^\n ]*\n|[dlt]p\d|c[A-Za-z_][\w.]*\n|i[A-Za-z_][\w.]*\n)"
)
_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_XGBOOST_JSON = re.compile(rb'\s*\{\s*"(?:learner"\s*:\s*\{|version"\s*:\s*\[)')
_XGBOOST_UBJ = re.compile(rb"\{(?:L.{8}|[iUIl].{0,4}?)(?:learner\{|version\[)", re.DOTALL)
_SAFETENSORS = re.compile(rb'.{8}\{\s*"', re.DOTALL)
_MLMODEL = re.compile(rb"^flavors:\s*\n[ \t]+\w+:", re.MULTILINE)
_CODE = re.compile(rb"^(?:import |from \w+ import |def |class |#!)", re.MULTILINE)

_JSON_SIGNS = (
    ('"nbformat"', "notebook"),
    ('"cells"', "notebook"),
    ('"modelTopology"', "tfjs"),
    ('"class_name"', "keras_json"),
    ('"tree_info"', "lightgbm_json"),
    ('"oblivious_trees"', "catboost"),
    ('"booster"', "xgboost_dump"),
    ('"nodeid"', "xgboost_dump"),
)


def recognise(data: Buffer) -> str:
    """One word for what these bytes are: an accepted format, a container, another one we know, or ``unknown``."""
    if not len(data):
        return "empty"
    head = bytes(data[:HEAD])
    for position, magic, kind in _MAGIC:
        if head[position : position + len(magic)] == magic:
            return _look_into_zip(data) if kind == "zip" else kind
    if head.startswith(_TORCH_MAGIC):
        return "pytorch_legacy"
    if _PICKLE.match(head) or _OLD_PICKLE.match(head):
        return "pickle"
    if head[0] == 0x78 and len(head) > 1 and (head[0] << 8 | head[1]) % 31 == 0:
        return "zlib"
    if _XGBOOST_UBJ.match(head):
        return "xgboost_ubj"
    if _SAFETENSORS.match(head) and 2 <= int.from_bytes(head[:8], "little") <= 100 << 20:
        return "safetensors"
    return _recognise_text(head) or _recognise_protobuf(data)


def _recognise_text(head: bytes) -> str:
    try:
        text = head.decode("utf-8") if len(head) < HEAD else head[: HEAD - 4].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return ""
    if any(ord(char) < 32 and char not in "\t\n\r\f" for char in text):
        return ""
    start = text.lstrip("\ufeff \t\r\n")
    if _XGBOOST_JSON.match(head):
        return "xgboost_json"
    if start.startswith("<"):
        return _recognise_markup(start)
    if start.startswith(("{", "[")):
        return _recognise_json(start)
    if _MLMODEL.search(head):
        return "mlmodel"
    return "code" if _CODE.search(head) else "text"


def _recognise_markup(start: str) -> str:
    for sign, kind in (("<PMML", "pmml"), ("<net ", "openvino"), ("<html", "html"), ("<!DOCTYPE html", "html")):
        if sign.casefold() in start[:1000].casefold():
            return kind
    return "text"


def _recognise_json(start: str) -> str:
    return next((kind for sign, kind in _JSON_SIGNS if sign in start), "json")


def _recognise_protobuf(data: Buffer) -> str:
    try:
        found = onnx_files.outline(data)
    except onnx_files.Truncated:
        is_onnx = data[0] == 0x08 and len(data) > 1 and 3 <= data[1] <= 14  # the format's own version comes first
        return "onnx_truncated" if is_onnx else _recognise_foreign_protobuf(bytes(data[:64]))
    except onnx_files.NotProtobuf:
        return _recognise_foreign_protobuf(bytes(data[:64]))
    if found.has_graph and found.opsets and found.ir_version:
        return "onnx"
    return _recognise_foreign_protobuf(bytes(data[:64]))


def _recognise_foreign_protobuf(head: bytes) -> str:
    if head[:3] == b"\x08\x01\x12":
        return "tensorflow"
    if head[:1] == b"\x08" and head[1:2] <= b"\x0c" and head[2:3] == b"\x12":
        return "coreml"
    return "tensorflow_graph" if head[:1] == b"\x0a" and b"\x12\x0b" in head else "unknown"


def _look_into_zip(data: Buffer) -> str:
    """What a zip archive is: several formats are zip archives with certain names inside."""
    try:
        names = [entry.name for entry in archives.read_zip(data, 100_000)]
    except Refusal:
        return _look_into_odd_zip(bytes(data[: 1 << 16]))
    last = {name.rpartition("/")[2] for name in names}
    if "schema.json" in names:
        return "skops"
    if "data.pkl" in last or "constants.pkl" in last or "archive_format" in last:
        return _which_torch(names, last)
    if "serialized_exported_program.json" in last:
        return "torch_export_old"
    if "model.weights.h5" in names:
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    return "mlpackage" if "Manifest.json" in names and any(name.endswith(".mlmodel") for name in names) else "zip"


def _which_torch(names: list[str], last: set[str]) -> str:
    """A script has code, an exported graph is JSON, and all else is a pickle of objects."""
    if "constants.pkl" in last and any("/code/" in name for name in names):
        return "torchscript"
    is_export = "archive_format" in last and any(re.fullmatch(r"[^/]+/models/[^/]+\.json", name) for name in names)
    return "torch_export" if is_export else "pytorch"


def _look_into_odd_zip(head: bytes) -> str:
    """A zip archive that the strict reader refuses: torch and keras write such ones, with padding and zip64 fields."""
    if b"/data.pkl" in head or b"/.format_version" in head:
        return "pytorch"
    return "keras" if b"model.weights.h5" in head or b"metadata.json" in head[:100] else "zip"


CONTAINERS = layers.KINDS | {"zip", "tar"}
TEXTS = frozenset(
    {"text", "code", "json", "html", "notebook", "empty", "image", "document"}
)  # never a model; fine beside one
