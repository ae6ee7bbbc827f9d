"""Files that are damaged, absurd or far larger than they look, each with the words that must refuse it."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

from tests.worker.inspection import zoo
from tests.worker.inspection.cases import (
    CRAFTED,
    CUT,
    PACKED,
    TOO_TIGHT,
    UNREADABLE,
    Case,
    Content,
    member,
    tarred,
    zipped,
)
from tests.worker.inspection.onnx_bytes import field, graph_file, nested_graphs, varint

PLACES = (0.03, 0.2, 0.5, 0.8, 0.97, 0.999)  # where a file is cut off
UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{"
UNKNOWN = "of no format that we know"
DAMAGED = "its parts do not fit together"
TOO_DEEP = "nested more deeply"


def cases() -> Iterator[Case]:
    yield from truncated()
    yield from zip_bombs()
    yield from compression_bombs()
    yield from protobuf_bombs()
    yield from pickle_bombs()
    yield from boosters()
    yield from skops_descriptions()
    yield from not_models()


def one(label: str, kind: str, content: Content, reason: str, *, check: str = "content", name: str = "model") -> Case:
    return Case(label, kind, {name: content}, check, reason)


# --- cut off ------------------------------------------------------------------------------------------------------


def truncated() -> Iterator[Case]:
    """Each format, cut off at several places."""
    model = LogisticRegression(max_iter=500).fit(zoo.X, zoo.Y)
    dumped = io.BytesIO()
    joblib.dump(model, dumped)
    pickled = pickle.dumps(model, protocol=5)
    plain: dict[str, tuple[bytes, str, str]] = {
        "pickle": (pickled, "safety", "The pickle"),
        "joblib": (dumped.getvalue(), "safety", "The pickle"),
        "ONNX": (graph_file(), "content", "ONNX file that ends in the middle"),
        "XGBoost JSON": (b'{"learner":{"a":[' + b"1," * 500 + b'2]},"version":[3,0,0]}', "content", CUT),
        "LightGBM": (b"tree\nversion=v4\n" + b"x=1\n" * 2000 + b"end of trees\n", "content", CUT),
    }
    for name, (data, check, reason) in plain.items():
        for place in PLACES:
            cut = max(int(len(data) * place), 24)
            yield one(f"{name} cut off at {place:.1%}", f"cut {name}", data[:cut], reason, check=check)
    packed = {
        "gzip": gzip.compress(pickled),
        "zlib": zlib.compress(pickled),
        "bz2": bz2.compress(pickled),
        "xz": lzma.compress(pickled),
        "lzma": lzma.compress(pickled, lzma.FORMAT_ALONE),
        "zip": zipped({"model.pkl": pickled}),
        "tar": tarred((member("model.pkl"), pickled)),
    }
    for name, data in packed.items():
        reason = UNREADABLE if name in ("zip", "tar") else PACKED
        size = 1024 if name == "tar" else len(data)
        for place in PLACES:
            yield one(f"{name} cut off at {place:.1%}", f"cut {name}", data[: max(int(size * place), 300)], reason)


# --- bombs --------------------------------------------------------------------------------------------------------


def zip_bombs() -> Iterator[Case]:
    yield one("zip of zeros", "flat zip bomb", zipped_zeros, TOO_TIGHT)
    yield one("zip of many small bombs", "spread zip bomb", spread_bomb, TOO_TIGHT)
    yield one("zip of overlapping entries", "overlapping zip bomb", overlapping_bomb, UNREADABLE)
    yield one("zip in a zip in a zip", "nested zip bomb", nested_bomb, "zip", name="model.zip")
    yield one("zip that promises a million entries", "endless directory", million_entries, UNREADABLE)
    yield one("zip of 20,000 entries", "endless directory", crowded_zip, UNREADABLE)
    yield one("tar of 20,000 files", "endless tar", partial(crowded_tar, tarfile.REGTYPE), "too many entries")
    yield one("tar of 45,000 folders", "endless tar", partial(crowded_tar, tarfile.DIRTYPE, 45_000), "too many entries")
    yield one("tar of long names without files", "endless tar", long_names_tar, "too many entries")
    yield one("skops of many small bombs", "spread zip bomb", skops_bomb, TOO_TIGHT, check="safety")
    yield one("npz of zeros", "flat zip bomb", npz_bomb, "numpy arrays")


def zipped_zeros() -> bytes:
    return zipped({"model.pkl": bytes(40 << 20)})


def spread_bomb() -> bytes:
    """Entries that are each allowed alone: 40 of 8 MB."""
    return crowded({f"part{index}.bin": _ZEROS for index in range(40)})


def skops_bomb() -> bytes:
    return crowded({"schema.json": (2, zlib.crc32(b"{}"), _raw(b"{}")), **{f"{n}.npy": _ZEROS for n in range(40)}})


def _raw(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


_ZEROS = (8 << 20, zlib.crc32(bytes(8 << 20)), _raw(bytes(8 << 20)))


def crowded(members: dict[str, tuple[int, int, bytes]], *, is_shared: bool = False) -> bytes:
    """A zip of ready-made streams: size, checksum, deflated bytes. With ``is_shared`` all entries are the first."""
    body, directory = bytearray(), bytearray()
    for index, (name, (size, crc, stored)) in enumerate(members.items()):
        start = 0 if is_shared else len(body)
        facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, crc, len(stored), size, len(name), 0)
        if not (is_shared and index):
            body += b"PK\x03\x04" + facts + name.encode() + stored
        directory += b"PK\x01\x02\x14\x03" + facts + struct.pack("<HHHII", 0, 0, 0, 0, start) + name.encode()
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def overlapping_bomb() -> bytes:
    """A thousand entries of the directory, all the same stored bytes."""
    return crowded({f"{index:04}": _ZEROS for index in range(1000)}, is_shared=True)


def nested_bomb() -> bytes:
    inner = zipped({"model.pkl": bytes(8 << 20)})
    for _ in range(4):
        inner = zipped({f"{index}.zip": inner for index in range(8)})
    return inner


def million_entries() -> bytes:
    """zip64: the number of entries stands in a second directory end."""
    far = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, 46_000_000, 0)
    return b"PK\x03\x04" + b"PK\x06\x06" + far + b"PK\x06\x07" + struct.pack("<IQI", 0, 4, 1) + (
        b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )  # fmt: skip


def crowded_zip() -> bytes:
    return crowded(dict.fromkeys((f"f{index}" for index in range(20_000)), (0, 0, _raw(b""))))


def crowded_tar(kind: bytes, number: int = 20_000) -> bytes:
    return member("f", kind).tobuf() * number + bytes(1024)


def long_names_tar() -> bytes:
    name = member("x", tarfile.GNUTYPE_LONGNAME)
    name.size = 10
    return (name.tobuf() + b"a".ljust(512, b"\0")) * 45_000 + bytes(1024)


def npz_bomb() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(6 << 20), b=np.zeros(6 << 20))
    return buffer.getvalue()


def compression_bombs() -> Iterator[Case]:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zlib": zlib.compress,
        "gzip": gzip.compress,
        "bz2": bz2.compress,
        "xz": partial(lzma.compress, preset=0),
        "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE, preset=0),
    }
    for name, pack in packers.items():
        yield one(f"bomb of {name}", f"{name} bomb", partial(pack_zeros, pack), "far larger than that of a model")
        twice = partial(pack_twice, pack)
        yield one(f"bomb of {name} under gzip", f"{name} bomb", twice, "far larger than that of a model")
    yield one("lzma that wants a dictionary of 4 GB", "lzma bomb", huge_dictionary, "data is damaged")
    yield one("gzip of many empty members", "gzip bomb", gzip.compress(b"") * 100_000, "something follows")
    yield one("tar.gz of zeros", "gzip bomb", partial(tar_of_zeros, gzip.compress), "far larger than that of a model")


def pack_zeros(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(bytes(36 << 20))


def pack_twice(pack: Callable[[bytes], bytes]) -> bytes:
    return gzip.compress(pack(bytes(36 << 20)))


def huge_dictionary() -> bytes:
    return b"\x5d\x00\x00\x00\xff" + b"\xff" * 8 + lzma.compress(bytes(100), lzma.FORMAT_ALONE)[13:]


def tar_of_zeros(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(tarred((member("model.pkl"), bytes(36 << 20))))


def protobuf_bombs() -> Iterator[Case]:
    unknown, cut = UNKNOWN, "ONNX file that ends in the middle"
    start = field(1, 8)
    yield one("graphs in graphs, a thousand deep", "deep protobuf", nested_graphs(1000), unknown)
    yield one("length of 2⁶² in a protobuf", "huge length", start + b"\x3a" + varint(1 << 62), cut)
    yield one("length that ends nowhere", "huge length", start + b"\x3a" + b"\xff" * 40, unknown)
    yield one("a million and a half empty fields", "wide protobuf", wide_protobuf, unknown)
    yield one("a million and a half empty nodes", "wide protobuf", partial(wide_protobuf, in_graph=True), unknown)
    yield one("groups, which protobuf has given up", "old protobuf", start + b"\x3b\x3c" * 100, unknown)
    yield one("field number zero", "old protobuf", start + b"\x02\x00" * 10, unknown)


def wide_protobuf(*, in_graph: bool = False) -> bytes:
    return field(1, 8) + (field(7, b"\x0a\x00" * 1_000_000) if in_graph else b"\xca\x01\x00" * 1_500_000)


def pickle_bombs() -> Iterator[Case]:
    """Streams whose walk would take long or much memory."""
    proto, many = b"\x80\x04", 1_000_000
    bombs: dict[str, tuple[Content, str]] = {
        "tuples that hold each other": (laughing_tuples, CRAFTED),
        "many lists": (partial(_repeat, proto, b"]", many), CRAFTED),
        "many dictionaries": (partial(_repeat, proto, b"}", many), CRAFTED),
        "many dictionaries kept": (partial(_repeat, proto, b"}\x94", many), CRAFTED),
        "many dictionaries kept and dropped": (partial(_repeat, proto, b"}\x940", many), CRAFTED),
        "many objects": (partial(_repeat, proto + _OBJECT, b"h\x00)\x81", many), CRAFTED),
        "much ado about nothing": (partial(_repeat, proto, b"N0", many), CRAFTED),
        "marks closed again and again": (partial(_repeat, proto, b"(1", many), CRAFTED),
        "many open groups with values": (partial(_repeat, proto, b"(NNNN", many), CRAFTED),
        "memo with far numbers": (far_memo, CRAFTED),
        "huge tuple": (partial(_repeat, proto + b"(", b"N", many), CRAFTED),
    }
    for label, (content, reason) in bombs.items():
        yield one(label, "pickle bomb", content, reason, check="safety")


_OBJECT = b"\x8c\x23sklearn.linear_model._logistic\x8c\x12LogisticRegression\x93\x94"


def _repeat(start: bytes, piece: bytes, times: int) -> bytes:
    return start + piece * times + b"."


def laughing_tuples() -> bytes:
    """Each tuple holds the one before a hundred times; twelve of them stand for 10²⁴ values."""
    body = b"K\x01\x85\x94"
    for index in range(12):
        body += b"0(" + (b"h" + bytes([index])) * 100 + b"t\x94"
    return b"\x80\x04]0" + body + b"]" + b"h\x0ca."


def far_memo() -> bytes:
    return b"\x80\x04N" + b"".join(b"r" + struct.pack("<I", index * 2000) for index in range(1_000_000)) + b"."


# --- boosters, skops ------------------------------------------------------------------------------------------------


def boosters() -> Iterator[Case]:
    deep = b'{"learner":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    wide = b'{"learner":{"a":[' + b"[]," * 1_000_000 + b"[]]}}"
    texts: dict[str, tuple[bytes, str]] = {
        "JSON objects, 100,000 deep": (deep, TOO_DEEP),
        "JSON lists, 100,000 deep": (b'{"learner":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", TOO_DEEP),
        "JSON of a million lists": (wide, DAMAGED),
        "JSON whose brackets cross": (b'{"learner":{"a":[}]}', DAMAGED),
        "JSON with something behind": (b'{"learner":{}} {"learner":{}}', DAMAGED),
        "JSON with an open text": (b'{"learner":{"a":"}}', DAMAGED),
        "UBJSON lists, 100,000 deep": (UBJ + b"U\x01a" + b"[" * 100_000 + b"}}", TOO_DEEP),
        "UBJSON objects, 100,000 deep": (UBJ + b"U\x01a{" * 100_000 + b"}}", TOO_DEEP),
        "UBJSON array of 2⁶⁰ numbers": (UBJ + b"U\x01a[$d#L" + struct.pack(">Q", 1 << 60) + b"}}", DAMAGED),
        "UBJSON array of 2⁶⁰ nothings": (UBJ + b"U\x01a[#L" + struct.pack(">Q", 1 << 60) + b"Z" * 50 + b"}}", DAMAGED),
        "UBJSON text of negative length": (UBJ + b"U\x01aSl\xff\xff\xff\xff}}", DAMAGED),
        "UBJSON of an unknown type": (UBJ + b"U\x01aX}}", DAMAGED),
        "UBJSON with something behind": (UBJ + b"}}" + UBJ + b"}}", DAMAGED),
    }
    for label, (data, reason) in texts.items():
        yield one(label, "booster bomb" if reason == TOO_DEEP else "odd booster", data, reason, check="safety")


def skops_descriptions() -> Iterator[Case]:
    unread = "description inside the skops file cannot be read"
    schemas: dict[str, bytes] = {
        "nested 100,000 deep": b'{"__loader__": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "of three million empty lists": b'{"__loader__": [' + b"[]," * 3_000_000 + b"[]]}",
        "that is no JSON": b"{__loader__",
        "in UTF-16": '{"__loader__": "ListNode"}'.encode("utf-16-le")[:-1],
        "with a number of a million digits": b'{"__loader__": ' + b"9" * 1_000_000 + b"}",
        "that is a list": b"[1, 2]",
        "of another kind": json.dumps({"__loader__": 7, "__module__": "a", "__class__": "b"}).encode(),
    }
    for label, data in schemas.items():
        content = zipped({"schema.json": data})
        yield one(f"skops description {label}", "odd skops", content, unread, check="safety")


# --- no models at all -----------------------------------------------------------------------------------------------


def npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def not_models() -> Iterator[Case]:
    things: dict[str, tuple[bytes, str]] = {
        "empty file": (b"", "The file is empty"),
        "pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "Git LFS"),
        "page that asks to sign in": (b"<!DOCTYPE html><html><title>Sign in</title></html>", "web page"),
        "page of an error": (b"<html><h1>404 Not Found</h1></html>", "web page"),
        "text in UTF-16": ("a model, honestly".encode("utf-16"), UNKNOWN),
        "numbers of an absurd shape": (npy(b"{'descr': '<f8', 'shape': (99999999999, 9999999999)}"), "numpy array"),
        "numbers with a header that is code": (npy(b"__import__('os').system('true')"), "numpy array"),
        "zeros": (bytes(1 << 20), UNKNOWN),
        "noise": (b"\xff" + Random(7).randbytes(4095), UNKNOWN),
        "safetensors whose header is NaN": (struct.pack("<Q", 12) + b'{"a": NaN   ', "safetensors"),
        "safetensors of an absurd shape": (
            struct.pack("<Q", 64) + b'{"a": {"dtype": "F64", "shape": [1e99], "data_offsets": [0, -1]}}', "safetensors"
        ),
        "safetensors with a huge header": (struct.pack("<Q", 1 << 62) + b'{"a": {}}', UNKNOWN),
        "link to a file": (b"!<symlink>\xff\xfe/\0e\0t\0c\0", UNKNOWN),
        "e-mail": (b"From: a@example.com\nSubject: the model\n\nIt is attached.\n", "text"),
    }  # fmt: skip
    for label, (data, reason) in things.items():
        yield one(label, label, data, reason)
