"""Archives and graphs that reach for what is not theirs: files of the machine, operators, other readers' eyes."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator

from tests.worker.inspection import onnx_bytes
from tests.worker.inspection.cases import NOT_PLAIN, UNREADABLE, Case, member, tarred, zipped

MODEL = onnx_bytes.graph_file()

# Names that climb, hide, are read differently elsewhere, or look like others.
NAMES = (
    *("../out", "a/../../out", "/etc/cron.d/out", "a//b", "a/./b", ".", "..", "C:\\out", "a\\b", "a b", "naïve"),
    *("\u202eout", "x" * 129, "/".join("abcdefghi"), "con\n", "~root", "a/...", "-;rm", "trailing."),
    *("mode\u0301l", "ｍodel", "mоdel", "a:stream", "%2e%2e/out", "$HOME"),
)


def cases() -> Iterator[Case]:
    for name in NAMES:
        yield _archive(f"zip with the name {name[:20]!r}", "file name in a zip", zipped({name: MODEL}), NOT_PLAIN)
        tar = tarred((member(name), MODEL))
        yield _archive(f"tar with the name {name[:20]!r}", "file name in a tar", tar, NOT_PLAIN)
    for label, data in {**zips(), "many": many_entries()}.items():
        yield _archive(f"zip: {label}", f"zip: {label}", data, UNREADABLE)
    for label, data in tars().items():
        reason = NOT_PLAIN if "traversing" in label else UNREADABLE
        yield _archive(f"tar: {label}", f"tar: {label}", data, reason)
        yield _archive(f"tar.gz: {label}", f"tar: {label}", gzip.compress(data), reason)
    yield from graphs()


def _archive(label: str, kind: str, data: bytes, reason: str) -> Case:
    return Case(label, kind, {"model.zip": data}, "content", reason)


# --- zip ------------------------------------------------------------------------------------------------------------


def linked_zip() -> bytes:
    entry = zipfile.ZipInfo("link")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


def overlapping_zip() -> bytes:
    """Two entries of the directory that share one stored file."""
    data = bytearray(zipped({"aaaa": b"x" * 100, "bbbb": b"y" * 100}))
    first, second = data.find(b"PK\x01\x02"), data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def matryoshka_zip() -> bytes:
    """An entry whose header lies in the content of another: two readers, two files."""
    inner = zipped({"b": b"the other"})
    inner = inner[: inner.find(b"PK\x01\x02")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", inner)
        archive.writestr("b", b"the other")
    data = bytearray(buffer.getvalue())
    place = data.rfind(b"PK\x01\x02")
    stored = struct.unpack("<I", inner[18:22])[0]
    data[place + 10 : place + 12] = inner[8:10]
    data[place + 16 : place + 28] = struct.pack("<III", *struct.unpack("<I", inner[14:18]), stored, 9)
    data[place + 42 : place + 46] = struct.pack("<I", 30 + 1)
    return bytes(data)


def doubled_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Model.onnx", b"a")
        archive.writestr("model.ONNX", b"b")
    return buffer.getvalue()


def commented_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"a")
        archive.comment = b"PK\x05\x06" + bytes(18)
    return buffer.getvalue()


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    place = data.find(signature) + offset
    return data[:place] + value + data[place + len(value) :]


PLAIN = zipped({"model.onnx": b"x" * 1000})


def zips() -> dict[str, bytes]:
    return {
        "link": linked_zip(),
        "overlap": overlapping_zip(),
        "header inside another file": matryoshka_zip(),
        "same name but for case": doubled_zip(),
        "comment that is a directory": commented_zip(),
        "something in front": b"PK\x03\x04" + b"#!/bin/sh\n" + PLAIN,
        "something behind": PLAIN + b"\x00",
        "cut off": PLAIN[:-10],
        "cut in the middle": PLAIN[: len(PLAIN) // 2],
        "encrypted": patched(PLAIN, b"PK\x01\x02", 8, b"\x01\x00"),
        "unknown method": patched(PLAIN, b"PK\x01\x02", 10, b"\x0e\x00"),
        "other name in the local header": patched(PLAIN, b"PK\x03\x04", 30, b"lodem"),
        "other size in the local header": patched(PLAIN, b"PK\x03\x04", 22, struct.pack("<I", 10)),
        "other checksum in the local header": patched(PLAIN, b"PK\x03\x04", 14, b"\1\2\3\4"),
        "size that is too small": patched(PLAIN, b"PK\x01\x02", 24, struct.pack("<I", 10)),
        "wrong checksum": patched(PLAIN, b"PK\x01\x02", 16, b"\x00\x00\x00\x00"),
        "bomb": zipped({"model.onnx": bytes(33 << 20)}),
        "zip64": patched(PLAIN, b"PK\x01\x02", 24, b"\xff\xff\xff\xff"),
        "damaged content": patched(PLAIN, b"model.onnx", 10, b"\xff"),
    }


def many_entries() -> bytes:
    return zipped({f"f{index}": b"" for index in range(10_001)})


# --- tar ------------------------------------------------------------------------------------------------------------


def tars() -> dict[str, bytes]:
    climb = "../" * 60 + "etc/passwd"
    good = tarred((member("a"), b"x"))
    return {
        "symbolic link": tarred((member("a", tarfile.SYMTYPE, "/etc/passwd"), b"")),
        "hard link": tarred((member("a", tarfile.LNKTYPE, "../../x"), b"")),
        "device": tarred((member("a", tarfile.CHRTYPE), b"")),
        "block device": tarred((member("a", tarfile.BLKTYPE), b"")),
        "pipe": tarred((member("a", tarfile.FIFOTYPE), b"")),
        "link, then a file through it": tarred((member("a", tarfile.SYMTYPE, "/tmp"), b""), (member("a/out"), b"x")),
        "same name twice": tarred((member("a"), b"1"), (member("a"), b"2")),
        "same name but for case": tarred((member("a"), b"1"), (member("A"), b"2")),
        "long traversing name": tarred((member(climb), b"x")),
        "long traversing name, GNU": tarred((member(climb), b"x"), form=tarfile.GNU_FORMAT),
        "cut off": tarred((member("a"), b"x" * 3000))[:1500],
        "damaged header": patched(good, b"ustar", -150, b"\xff"),
        "negative size": patched(good, b"ustar", -133, b"-0000000001"),
        "size in another notation": patched(good, b"ustar", -133, b"\x80" + bytes(10) + b"\x01"),
    }


# --- ONNX -----------------------------------------------------------------------------------------------------------

LOCATIONS = (
    *("../../etc/passwd", "/etc/passwd", "a/../../x", "..\\..\\windows\\win.ini", "C:\\secret", "C:secret"),
    *("file:///etc/passwd", "weights\x00.bin", "~/.ssh/id_ed25519", "\\\\host\\share\\x", "//host/x", "."),
    *("", "wéights", "a" * 5000, "%2e%2e/secret", "/proc/self/environ", "missing.bin", "weights.bin/.."),
)


def graphs() -> Iterator[Case]:
    outside, operator = "Its weights lie", "which is no standard one"
    for location in LOCATIONS:
        data = onnx_bytes.model(onnx_bytes.node("Relu") + onnx_bytes.field(5, onnx_bytes.external_tensor(location)))
        label = f"ONNX with its weights at {location[:24]!r}"
        yield Case(label, "ONNX: location outside", {"model.onnx": data}, "content", outside)
    tensor = onnx_bytes.external_tensor("../../etc/passwd")
    for label, graph in _hidden(tensor).items():
        data = onnx_bytes.model(graph)
        yield Case(f"ONNX: {label}", f"ONNX: {label}", {"model.onnx": data}, "content", outside)
    for label, graph in _operators().items():
        data = onnx_bytes.model(graph, onnx_bytes.opset(), onnx_bytes.opset("com.evil", 1))
        yield Case(f"ONNX: {label}", f"ONNX: {label}", {"model.onnx": data}, "safety", operator)


def _hidden(tensor: bytes) -> dict[str, bytes]:
    """The same weights in all places where a tensor can be."""
    f, node, attribute = onnx_bytes.field, onnx_bytes.node, onnx_bytes.attribute
    inner = f(6, node("Relu") + f(5, tensor))
    return {
        "weights outside, in an attribute": node("Constant", attributes=attribute("value", f(5, tensor))),
        "weights outside, in a list of tensors": node("Constant", attributes=attribute("value", f(10, tensor))),
        "weights outside, in a branch": node("If", attributes=attribute("then_branch", inner)),
        "weights outside, in a list of graphs": node("If", attributes=attribute("branches", f(11, f(5, tensor)))),
        "weights outside, in a sparse tensor": node("Relu") + f(15, f(1, tensor)),
        "weights outside, in a sparse attribute": node("C", attributes=attribute("v", f(22, f(1, tensor)))),
        "weights outside, not marked as such": node("Relu")
        + f(5, onnx_bytes.external_tensor("/etc/passwd", is_marked=False)),
        "weights outside, said twice": node("Relu") + f(5, tensor + f(14, 0)),
    }


def _operators() -> dict[str, bytes]:
    f, node, attribute = onnx_bytes.field, onnx_bytes.node, onnx_bytes.attribute
    evil = node("Run", "com.evil")
    return {
        "operator of its own": evil,
        "operator of its own, in a branch": node("If", attributes=attribute("then_branch", f(6, evil))),
        "operator of a library that reads files": node("EPContext", "com.microsoft"),
        "operator of PyTorch": node("ATen", "org.pytorch.aten"),
        "operator that is Python": node("PyOp", "ai.onnx.contrib"),
        "domain that looks like a standard one": node("Relu", "ai.onnx\u200b"),
        "domain said twice": f(1, f(1, "x") + f(2, "y") + f(4, "Relu") + f(7, "") + f(7, "com.evil")),
    }
