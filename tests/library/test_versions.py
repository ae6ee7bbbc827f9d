"""Models and versions as services make them: the row, one audit entry, and the job."""

import hashlib
from collections.abc import Callable

import pytest

from apps.audit.models import Entry
from apps.core.errors import Invalid, Missing, NotAllowed, StateConflict
from apps.core.jobs import Job
from apps.core.leases import due
from apps.library import services as library
from apps.library.models import Artifact, MLModel, ModelVersion
from tests.cast import Cast
from tests.library.conftest import ONNX

Make = Callable[..., ModelVersion]


def actions() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("action", flat=True))


def test_a_model_is_named_once(cast: Cast, digits: MLModel) -> None:
    assert actions() == ["model.created"]
    with pytest.raises(Invalid, match="already"):
        library.create_model(actor=cast.actor("dana"), project=cast.project, name="digits")
    elsewhere = library.create_model(actor=cast.actor("sam"), project=cast.elsewhere, name="digits")
    assert elsewhere.pk != digits.pk


@pytest.mark.parametrize("name", ["", "Digits", "dig its", "../up", "-digits", "<script>", "x" * 65, "ziffern.v2"])
def test_a_model_name_can_stand_in_an_address(cast: Cast, name: str) -> None:
    with pytest.raises(Invalid):
        library.create_model(actor=cast.actor("dana"), project=cast.project, name=name)


@pytest.mark.parametrize("name", ["vic", "rhea", "omar", "sam"])
def test_only_who_may_edit_models_names_one(cast: Cast, name: str) -> None:
    with pytest.raises(NotAllowed):
        library.create_model(actor=cast.actor(name), project=cast.project, name="digits")


def test_an_edit_tells_what_it_changed(cast: Cast, digits: MLModel) -> None:
    library.edit_model(actor=cast.actor("dana"), model=digits, tags=["Vision", "vision", "手写"], task="classification")
    digits.refresh_from_db()
    assert digits.tags == ["vision", "手写"]
    entry = Entry.objects.get(action="model.edited")
    assert (entry.before, entry.after) == ('{"tags": []}', '{"tags": ["vision", "手写"]}')


def test_a_version_is_uploaded_and_waits_for_its_examination(
    cast: Cast, upload_version: Make, queue: list[tuple[Job, int]]
) -> None:
    version = upload_version({"b.onnx": ONNX, "a/weights.bin": b"w"}, labels={"commit": "4f1c2aa"})
    assert (version.number, version.state, version.size) == (1, "uploaded", len(ONNX) + 1)
    assert (version.uploaded_by, version.labels) == (cast.user("dana"), {"commit": "4f1c2aa"})
    assert actions() == ["model.created", "version.uploaded"]
    assert queue == [(Job.EXAMINE, version.pk)]
    assert list(due(ModelVersion)) == [version]


def test_the_digest_is_that_of_the_sorted_manifest(upload_version: Make) -> None:
    version = upload_version({"b.onnx": ONNX, "a/weights.bin": b"w"})
    manifest = f"a/weights.bin 1 {hashlib.sha256(b'w').hexdigest()}\n" + (
        f"b.onnx {len(ONNX)} {hashlib.sha256(ONNX).hexdigest()}\n"
    )
    assert version.digest == hashlib.sha256(manifest.encode()).hexdigest()


def test_versions_count_up_and_share_equal_bytes(upload_version: Make) -> None:
    first, second = upload_version(), upload_version()
    assert (first.number, second.number) == (1, 2)
    assert first.digest == second.digest
    assert Artifact.objects.count() == 1


def test_companions_become_card_labels_and_example(upload_version: Make) -> None:
    version = upload_version(
        {
            "digits.onnx": ONNX,
            "README.md": b"# Digits\nReads one digit.",
            "labels.txt": b"zero\none\n\n",
            "example.json": b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}',
        }
    )
    assert version.card.startswith("# Digits")
    assert version.class_labels == ["zero", "one"]
    assert (version.example or {})["inputs"][0]["name"] == "x"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"README.md": b"# only words"}, "no model"),
        ({"a.onnx": ONNX, "A.ONNX": ONNX}, "Two files"),
        ({"a.onnx": ONNX, "labels.json": b"{}"}, "list of labels"),
        ({"a.onnx": ONNX, "labels.json": b"[" * 100_000}, "valid JSON"),
        ({"a.onnx": ONNX, "labels.txt": b"\xff\xfe\x00"}, "UTF-8"),
        ({"a.onnx": ONNX, "example.json": b'{"inputs": []}'}, "inference request"),
        ({"a.onnx": ONNX, "README.md": b"x" * ((1 << 20) + 1)}, "longer"),
    ],
)
def test_what_cannot_be_a_version_is_refused_with_the_reason(
    upload_version: Make, files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        upload_version(files)
    assert ModelVersion.objects.count() == 0
    assert actions() == ["model.created"]


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "a//b", ".hidden", "trailing.", "a b.onnx", "a\x00b", "x" * 129, "é.onnx", "C:\\x"],
)
def test_file_names_are_plain_and_relative(upload_version: Make, name: str) -> None:
    with pytest.raises(Invalid, match="name of a file"):
        upload_version({name: ONNX})


def test_a_parent_is_of_the_same_project(cast: Cast, upload_version: Make) -> None:
    parent = upload_version()
    child = upload_version(parent=parent)
    assert child.parent == parent
    foreign = library.create_model(actor=cast.actor("sam"), project=cast.elsewhere, name="digits")
    with pytest.raises(Missing):
        library.create_version(actor=cast.actor("sam"), model=foreign, parent=parent)


def test_a_ready_version_retires_and_comes_back(cast: Cast, upload_version: Make) -> None:
    version = upload_version()
    ModelVersion.objects.filter(pk=version.pk).update(state="ready", served_format="onnx")
    version.refresh_from_db()
    library.retire_version(actor=cast.actor("dana"), version=version, note="superseded")
    assert version.state == "retired"
    with pytest.raises(StateConflict):
        library.retire_version(actor=cast.actor("dana"), version=version)
    library.restore_version(actor=cast.actor("dana"), version=version)
    assert version.state == "ready"
    assert actions()[-2:] == ["version.retired", "version.restored"]


def test_a_refused_version_retires_for_good(cast: Cast, upload_version: Make) -> None:
    version = upload_version()
    ModelVersion.objects.filter(pk=version.pk).update(state="refused")
    version.refresh_from_db()
    library.retire_version(actor=cast.actor("dana"), version=version)
    with pytest.raises(StateConflict, match="never passed"):
        library.restore_version(actor=cast.actor("dana"), version=version)
