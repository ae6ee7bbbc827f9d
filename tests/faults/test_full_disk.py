"""R5: the disk fills up under an upload, wherever it has got to; once there is room, the same upload goes on."""

import hashlib
import io
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from apps.audit.models import Entry
from apps.core.errors import Unavailable
from apps.library import services as library
from apps.library.models import Upload
from apps.library.store import get_store
from tests.cast import Cast
from tests.faults import ROUNDS
from tests.worker.inspection.cases import zipped
from tests.worker.inspection.test_formats import graph
from worker.tasks.examine import examine

MIB = 1 << 20
SIZE = 4 * MIB
PLACES = max(2, min(20, ROUNDS // 10))


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 16 MiB that holds everything of ours."""
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", tmp_path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    monkeypatch.setattr(settings, "SLIPWAY_HOME", tmp_path)
    monkeypatch.setattr(settings, "SLIPWAY_STORE_URL", f"file://{tmp_path}/artifacts")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves only so many bytes."""
    space = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - leave)))
    return ballast


def send(cast: Cast, upload: Upload, content: bytes) -> Upload:
    upload.refresh_from_db()
    rest = io.BytesIO(content[upload.offset :])
    length = len(content) - upload.offset
    return library.receive(actor=cast.actor("dana"), upload=upload, offset=upload.offset, length=length, read=rest.read)


def test_an_upload_survives_a_full_disk_wherever_it_has_got_to(cast: Cast, small_disk: Path) -> None:
    survived = 0
    for place in range(PLACES):
        content = hashlib.shake_128(bytes([place])).digest(SIZE)
        digest = hashlib.sha256(content).hexdigest()
        upload = library.create_upload(actor=cast.actor("dana"), project=cast.project, name="m.onnx", size=SIZE)
        ballast = fill(small_disk, leave=SIZE * place // PLACES)
        with pytest.raises(Unavailable, match="disk"):
            send(cast, upload, content)
        assert not get_store().exists(digest), "nothing half is ever seen"
        ballast.unlink()
        assert send(cast, upload, content).state == Upload.State.COMPLETE
        assert get_store().fetch_verified(digest, small_disk).stat().st_size == SIZE
        assert list(get_store().drafts()) == []
        get_store().delete(digest)
        survived += 1
    print(f"\n{survived} of {PLACES} uploads went on after the disk was full, none seen half")


def test_an_examination_that_finds_no_room_is_tried_again_and_ends_well(
    cast: Cast, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    dana = cast.actor("dana")
    model = library.create_model(actor=dana, project=cast.project, name="packed", task="classification")
    packed = io.BytesIO(zipped({"m.onnx": graph(), "README.txt": bytes(SIZE)}))
    file = library.store_file(actor=dana, project=cast.project, name="m.zip", stream=packed)
    version = library.create_version(actor=dana, model=model, files=[file])
    ballast = fill(small_disk, leave=SIZE // 2)
    examine(version.pk)
    version.refresh_from_db()
    assert (version.state, version.lease_until) == ("examining", None)
    entry = Entry.objects.filter(action="version.examination_failed").get()
    assert "temporary files is full" in entry.reason
    ballast.unlink()
    examine(version.pk)
    version.refresh_from_db()
    assert version.state == "ready"
