"""A folder becomes the same bytes everywhere."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from worker.builders.image.client import Blob
from worker.builders.image.layers import folder_layer

NAMES = ("slipway.json", "model/weights.onnx", "slipway_runtime/__main__.py", "slipway_runtime/loaders/base.py",
         "model/" + "long" * 40 + ".onnx", "model/Größe.onnx")  # fmt: skip


def lay_out(folder: Path, names: tuple[str, ...], *, mode: int, at: float) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 700)
        path.chmod(mode)
        os.utime(path, (at, at))
    return folder


def packed(layer: Blob) -> bytes:
    return b"".join(layer.read())


def test_order_dates_and_rights_of_the_files_do_not_change_a_byte(tmp_path: Path) -> None:
    first = folder_layer(lay_out(tmp_path / "a", NAMES, mode=0o600, at=1.0), "opt/bundle")
    second = folder_layer(lay_out(tmp_path / "b", NAMES[::-1], mode=0o444, at=1e9), "opt/bundle")
    assert first.digest == second.digest
    assert packed(first) == packed(second)


def test_a_layer_knows_its_digest_and_size_before_it_is_sent(tmp_path: Path) -> None:
    layer = folder_layer(lay_out(tmp_path, NAMES, mode=0o644, at=5.0), "opt/bundle")
    data = packed(layer)
    assert layer.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert layer.size == len(data) == len(packed(layer))


def test_a_layer_is_a_tar_of_readable_files_that_belong_to_root(tmp_path: Path) -> None:
    layer = folder_layer(lay_out(tmp_path, NAMES, mode=0o600, at=5.0), "opt/bundle")
    with tarfile.open(fileobj=io.BytesIO(packed(layer))) as tar:
        files = {entry.name: entry for entry in tar if entry.isfile()}
        entries = tar.getmembers()
        assert set(files) == {f"opt/bundle/{name}" for name in NAMES}
        assert all(tar.extractfile(entry).read() == entry.name[11:].encode() * 700 for entry in files.values())
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, 0)}
    assert {entry.mode for entry in entries} == {0o444, 0o555}


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        folder_layer(tmp_path, "opt/bundle")


def test_one_changed_byte_gives_another_digest(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, NAMES, mode=0o644, at=5.0)
    before = folder_layer(folder, "opt/bundle").digest
    (folder / "slipway.json").write_bytes(b"x" + b"slipway.json"[1:] + b"slipway.json" * 699)
    assert folder_layer(folder, "opt/bundle").digest != before
