"""Archives: plain files with plain names come out, whatever the archive says; everything else is refused."""

import gzip
import io
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.inspection.examining import examined
from tests.worker.inspection.malice import zipped
from worker.inspection import archives
from worker.inspection.refusals import Refusal

NAMES = (
    *("../out", "a/../../out", "/etc/cron.d/out", "a//b", "a/./b", ".", "..", "C:\\out", "a\\b", "a b", "naïve"),
    *("\u202eout", "a\x00b", "x" * 129, "/".join("abcdefghi"), "con\n", "~root", "a/...", "-;rm"),
)


def tarred(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def plain(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def linked_zip() -> bytes:
    member = zipfile.ZipInfo("link")
    member.create_system, member.external_attr = 3, 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def overlapping_zip() -> bytes:
    """Two entries of the directory that share one stored file."""
    data = bytearray(zipped({"aaaa": b"x" * 100, "bbbb": b"y" * 100}))
    first, second = data.find(b"PK\x01\x02"), data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    place = data.find(signature) + offset
    return data[:place] + value + data[place + len(value) :]


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


PLAIN = zipped({"model.onnx": b"x" * 1000})
BAD_ZIPS: dict[str, bytes] = {
    "link": linked_zip(),
    "overlap": overlapping_zip(),
    "same name but for case": doubled_zip(),
    "comment that is a directory": commented_zip(),
    "something in front": b"#!/bin/sh\n" + PLAIN,
    "something behind": PLAIN + b"\x00",
    "cut off": PLAIN[:-10],
    "cut in the middle": PLAIN[: len(PLAIN) // 2],
    "encrypted": patched(PLAIN, b"PK\x01\x02", 8, b"\x01\x00"),
    "unknown method": patched(PLAIN, b"PK\x01\x02", 10, b"\x0e\x00"),
    "other name in the local header": patched(PLAIN, b"PK\x03\x04", 30, b"lodem"),
    "size that is too small": patched(PLAIN, b"PK\x01\x02", 24, struct.pack("<I", 10)),
    "wrong checksum": patched(PLAIN, b"PK\x01\x02", 16, b"\x00\x00\x00\x00"),
    "bomb": zipped({"model.onnx": bytes(33 << 20)}),
    "zip64": patched(PLAIN, b"PK\x01\x02", 24, b"\xff\xff\xff\xff"),
    "too many": zipped({f"f{index}": b"" for index in range(10_001)}),
}
BAD_TARS: dict[str, bytes] = {
    "symbolic link": tarred((plain("a", tarfile.SYMTYPE, "/etc/passwd"), b"")),
    "hard link": tarred((plain("a", tarfile.LNKTYPE, "../../x"), b"")),
    "device": tarred((plain("a", tarfile.CHRTYPE), b"")),
    "pipe": tarred((plain("a", tarfile.FIFOTYPE), b"")),
    "same name twice": tarred((plain("a"), b"1"), (plain("a"), b"2")),
    "long traversing name": tarred((plain("../" * 60 + "etc/passwd"), b"x")),
    "long traversing name, GNU": tarred((plain("../" * 60 + "etc/passwd"), b"x"), form=tarfile.GNU_FORMAT),
    "cut off": tarred((plain("a"), b"x" * 3000))[:1500],
    "damaged header": patched(tarred((plain("a"), b"x")), b"ustar", -150, b"\xff"),
    "negative size": patched(tarred((plain("a"), b"x")), b"ustar", -133, b"-0000000001"),
}


def extracted(data: bytes, reader: Callable[[bytes], list[archives.Entry]], folder: Path) -> list[bytes]:
    paths = archives.extract(data, reader(data), folder / "out", 1 << 30)
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("label", BAD_ZIPS)
def test_a_crafted_zip_is_refused_quickly_and_leaves_nothing_elsewhere(label: str, tmp_path: Path) -> None:
    start = time.process_time()
    with pytest.raises(Refusal):
        extracted(BAD_ZIPS[label], archives.read_zip, tmp_path)
    assert time.process_time() - start < 2
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "out"])


@pytest.mark.parametrize("label", BAD_TARS)
def test_a_crafted_tar_is_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        extracted(BAD_TARS[label], archives.read_tar, tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_name_that_is_not_plain_is_refused(name: str, form: str, tmp_path: Path) -> None:
    data = zipped({name: b"x"}) if form == "zip" else tarred((plain(name), b"x"))
    reader = archives.read_zip if form == "zip" else archives.read_tar
    if name == "a\x00b":  # both writers cut it there
        assert [entry.name for entry in reader(data)] == ["a"]
        return
    with pytest.raises(Refusal):
        extracted(data, reader, tmp_path)


def test_ordinary_archives_come_out_whole(tmp_path: Path) -> None:
    files = {"model/model.onnx": b"o" * 5000, "model/labels.txt": b"cat\ndog\n"}
    assert extracted(zipped(files), archives.read_zip, tmp_path) == list(files.values())
    tarball = tarred(*((plain(name), data) for name, data in files.items()), (plain("empty", tarfile.DIRTYPE), b""))
    (tmp_path / "tar").mkdir()
    assert extracted(tarball, archives.read_tar, tmp_path / "tar") == list(files.values())


def test_a_damaged_deflate_stream_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"x" * 9}))
    data[31] = 0xFF  # the first byte of its only entry
    with pytest.raises(Refusal):
        extracted(bytes(data), archives.read_zip, tmp_path)


def test_what_desktops_leave_in_archives_is_passed_over() -> None:
    entries = archives.read_zip(zipped({"m.onnx": b"x", "__MACOSX/._m.onnx": b"y", ".DS_Store": b"z"}))
    assert [entry.name for entry in entries] == ["m.onnx"]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bool]:
    """An archive of random names and contents with a few bytes changed."""
    names = draw(st.lists(st.text(alphabet="ab./\\é-", min_size=1, max_size=12), min_size=1, max_size=4, unique=True))
    is_zip = draw(st.booleans())
    content = draw(st.binary(max_size=50))
    data = bytearray(
        zipped(dict.fromkeys(names, content)) if is_zip else tarred(*((plain(name), content) for name in names))
    )
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data), is_zip


@settings(max_examples=1000, deadline=None)
@given(damaged())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_is_ever_written_outside_the_folder(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[bytes, bool]
) -> None:
    data, is_zip = case
    folder = tmp_path_factory.mktemp("archive")
    try:
        paths = archives.extract(
            data, (archives.read_zip if is_zip else archives.read_tar)(data), folder / "out", 1 << 20
        )
    except Refusal:
        paths = []
    assert {path.parent for path in paths} <= {folder / "out"}
    assert set(_everything(folder)) <= {"out", *(f"out/{index}" for index in range(len(paths) or 9))}


def _everything(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_compressed_tar_is_unpacked_once(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.tar.gz": gzip.compress(tarred((plain("m/notes.txt"), b"hello")))})
    assert report.failed.details["kind"] == "text"
