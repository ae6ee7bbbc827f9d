"""Archives: plain files with plain names come out, whatever the archive says; everything else is refused."""

import gzip
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.worker.inspection import made_archives
from tests.worker.inspection.cases import member, tarred, zipped
from tests.worker.inspection.examining import examined
from worker.inspection import archives
from worker.inspection.refusals import Refusal


def extracted(data: bytes, reader: Callable[[bytes], list[archives.Entry]], folder: Path) -> list[bytes]:
    paths = archives.extract(data, reader(data), folder / "out", 1 << 30)
    return [path.read_bytes() for path in paths]


def test_ordinary_archives_come_out_whole(tmp_path: Path) -> None:
    files = {"model/model.onnx": b"o" * 5000, "model/labels.txt": b"cat\ndog\n"}
    assert extracted(zipped(files), archives.read_zip, tmp_path) == list(files.values())
    tarball = tarred(*((member(name), data) for name, data in files.items()), (member("empty", tarfile.DIRTYPE), b""))
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


@settings(max_examples=2000, deadline=None)
@given(made_archives.archives())
def test_nothing_is_ever_written_outside_the_folder_and_every_refusal_is_one(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[bytes, bool]
) -> None:
    data, is_zip = case
    place = _place(tmp_path_factory)
    before = _everything(place)
    try:
        entries = (archives.read_zip if is_zip else archives.read_tar)(data)
        paths = archives.extract(data, entries, place / "root" / "out", 1 << 20)
    except Refusal:
        paths = []
    written = _everything(place).items() - before.items() - {("root", before["root"])}
    shutil.rmtree(place / "root" / "out", ignore_errors=True)
    assert {name for name, _ in written} <= {"root", "root/out", *(f"root/out/{n}" for n in range(len(paths) or 9))}
    assert all(mode == 0o100440 for name, (mode, _, _) in written if name.startswith("root/out/"))
    assert [path.name for path in paths] == [str(number) for number in range(len(paths))]


def _place(factory: pytest.TempPathFactory) -> Path:
    """A folder with a root to unpack into, and things around it that could be overwritten."""
    place = factory.getbasetemp() / "archives"
    if not place.exists():
        (place / "root" / "a").mkdir(parents=True)
        for name in ("out", "a b", "etc", "root/model.onnx", "root/a/b"):
            (place / name).write_text("untouched")
    return place


def _everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every path below, with its mode, size and time of change; links are not followed."""
    found = {}
    for path in folder.rglob("*"):
        facts = path.lstat()
        found[str(path.relative_to(folder))] = (facts.st_mode, facts.st_size, facts.st_mtime_ns)
    return found


def test_a_name_with_a_space_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refusal) as caught:
        archives.read_zip(zipped({"My models/house prices.onnx": b"x"}))
    assert "My models/house prices.onnx" in str(caught.value.reason)
    assert "letters, digits, dots, hyphens and underscores" in str(caught.value.advice)


def test_a_compressed_tar_is_unpacked_once(tmp_path: Path) -> None:
    report = examined(tmp_path, {"m.tar.gz": gzip.compress(tarred((member("m/notes.txt"), b"hello")))})
    assert report.failed.details["kind"] == "text"


@pytest.fixture
def long_zip(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Two files in the form for more than 4 GiB, which the standard library is told to begin at 10 bytes."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    return zipped({"a.bin": bytes(range(256)), "b.bin": bytes(range(255, -1, -1))})


def long_fields(data: bytes, number: int) -> int:
    """Where the extra field with the long sizes of an entry begins in the directory."""
    position = -1
    for _ in range(number + 1):
        position = data.index(b"PK\x01\x02", position + 1)
    return position + 46 + len("a.bin")


def test_an_archive_in_the_long_form_comes_out_whole(long_zip: bytes, tmp_path: Path) -> None:
    assert long_zip[long_fields(long_zip, 1) :][:4] == struct.pack("<HH", 1, 24)
    assert extracted(long_zip, archives.read_zip, tmp_path) == [bytes(range(256)), bytes(range(255, -1, -1))]
    for unsaid in (struct.pack("<HH", 0xFFFF, 0xFFFF), b""):  # as others write the short end: it says nothing
        end = bytearray(long_zip)
        end[-14 : -14 + len(unsaid)] = unsaid
        end[-10:-2] = b"\xff" * 8
        assert [entry.name for entry in archives.read_zip(bytes(end))] == ["a.bin", "b.bin"]


def lie_about(data: bytes, lie: str) -> bytes:
    """The archive with one thing in it said twice, and differently."""
    changed, first, second = bytearray(data), long_fields(data, 0), long_fields(data, 1)
    if lie == "another kind of field":
        changed[first] = 2
    elif lie == "longer than its place":
        changed[second + 2] = 40
    elif lie == "one field too many":
        changed[first - 46 - 5 + 20 : first - 46 - 5 + 24] = struct.pack("<I", 256)
    elif lie == "a size that its own header has not":
        changed[first + 4 : first + 12] = struct.pack("<Q", 255)
    elif lie == "the place of another entry":
        changed[second + 20 : second + 28] = struct.pack("<Q", 0)
    elif lie == "a place far behind the end":
        changed[second + 20 : second + 28] = struct.pack("<Q", 1 << 62)
    elif lie == "another count at the short end":
        changed[-14:-10] = struct.pack("<HH", 1, 1)
    elif lie == "another place at the short end":
        changed[-6:-2] = struct.pack("<I", 7)
    elif lie == "another count at the long end":
        changed[-22 - 20 - 32 : -22 - 20 - 24] = struct.pack("<Q", 1)
    elif lie == "a second disk":
        changed[-22 - 4 : -22] = struct.pack("<I", 2)
    return bytes(changed)


@pytest.mark.parametrize(
    "lie",
    [
        "another kind of field",
        "longer than its place",
        "one field too many",
        "a size that its own header has not",
        "the place of another entry",
        "a place far behind the end",
        "another count at the short end",
        "another place at the short end",
        "another count at the long end",
        "a second disk",
    ],
)
def test_an_archive_in_the_long_form_that_two_readers_see_differently_is_refused(long_zip: bytes, lie: str) -> None:
    lying = lie_about(long_zip, lie)
    assert lying != long_zip
    with pytest.raises(Refusal):
        archives.read_zip(lying)


def test_an_archive_that_becomes_too_much_names_both_sizes_and_the_setting(tmp_path: Path) -> None:
    files = {"m.tar.gz": gzip.compress(tarred((member("m.bin"), bytes(range(256)) * 40_000)))}
    packed = {"m.zip": zipped({"m.bin": bytes(range(256)) * 40_000})}
    for upload in (files, packed):
        report = examined(tmp_path, upload, unpacked_bytes=10_000_000)
        assert "0.01 GB" in str(report.failed.reason)
        assert "SLIPWAY_UPLOAD_MAX_BYTES" in str(report.failed.advice)
