"""What the worker writes down about a version: under a lease, once, and safely whatever it quotes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import Entry
from apps.core.errors import StateConflict
from apps.core.leases import due
from apps.library import services as library
from apps.library.evidence import whole
from apps.library.files import fetch_served, fetch_sources
from apps.library.models import ModelVersion
from apps.library.services.examinations import MAX_ATTEMPTS
from tests.library.conftest import ONNX

Make = Callable[..., ModelVersion]

ACCEPTED: dict[str, Any] = {
    "accepted": True,
    "format": "sklearn",
    "framework": "scikit-learn",
    "framework_version": "1.7.2",
    "tier": 1,
    "signature": {
        "inputs": ({"name": "x", "datatype": "FP32", "shape": (-1, 64)},),
        "outputs": ({"name": "label", "datatype": "INT64", "shape": (-1,)},),
    },
    "served_format": "onnx",
    "served_name": "model.onnx",
    "requirements": ("onnxruntime==1.23.2",),
    "labels": ("0", "1"),
    "golden": {},
    "profile": {"latency_ms": {"p50": 0.1}},
    "parity": {"passed": True, "max_abs_diff": 1e-7},
}


def evidence(check: str, state: str = "passed", **facts: Any) -> dict[str, Any]:
    sentence = {"text": "Looked at %(check)s", "params": {"check": check}}
    return {"check": check, "state": state, "summary": sentence, "seconds": 0.5, **facts}


def begun(version: ModelVersion) -> ModelVersion:
    taken = library.begin_examination(version.pk)
    assert taken is not None
    return taken


def states(version: ModelVersion) -> dict[str, str]:
    return dict(version.checks.values_list("key", "state"))


def test_a_begun_examination_is_held_by_one_worker(upload_version: Make) -> None:
    version = begun(upload_version())
    assert version.state == "examining"
    assert set(states(version).values()) == {"waiting"}
    assert library.begin_examination(version.pk) is None
    assert not due(ModelVersion).exists()


def test_an_accepted_version_is_ready_with_its_converted_file(upload_version: Make, tmp_path: Path) -> None:
    version = begun(upload_version({"digits.skops": b"PK original"}))
    library.record_check(version, evidence("content", "running"))
    library.record_check(version, evidence("content"))
    converted = tmp_path / "model.onnx"
    converted.write_bytes(ONNX)
    library.finish_examination(version, ACCEPTED, converted)
    version.refresh_from_db()
    assert (version.state, version.framework, version.tier) == ("ready", "scikit-learn", 1)
    assert (version.signature or {})["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]
    assert version.class_labels == ["0", "1"]
    assert (version.due_at, version.lease_until) == (None, None)
    assert states(version)["content"] == "passed"
    assert states(version)["convert"] == "skipped"
    served = fetch_served(version, tmp_path)
    assert (served.name, served.path.read_bytes()) == ("model.onnx", ONNX)
    assert [file.name for file in fetch_sources(version, tmp_path)] == ["digits.skops"]
    assert [e.action for e in Entry.objects.order_by("seq")][-2:] == ["version.examination_begun", "version.accepted"]


def test_a_file_that_is_served_as_it_came_is_kept_once(upload_version: Make, tmp_path: Path) -> None:
    version = begun(upload_version())
    [source] = fetch_sources(version, tmp_path)
    library.finish_examination(version, {**ACCEPTED, "format": "onnx"}, source.path)
    assert version.files.get().is_served


def test_the_golden_sample_and_the_trusted_types_are_kept_to_the_last_value(
    upload_version: Make, tmp_path: Path
) -> None:
    golden = {"request": {"inputs": [{"name": "x", "data": list(range(5000)), "text": "a" * 9000}]}}
    verdict = {**ACCEPTED, "golden": golden, "trusted": ("numpy.dtype", "sklearn.tree._tree.Tree")}
    version = begun(upload_version())
    library.finish_examination(version, verdict, fetch_sources(version, tmp_path)[0].path)
    version.refresh_from_db()
    assert version.golden == golden
    assert version.trusted == ["numpy.dtype", "sklearn.tree._tree.Tree"]


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("nan"), b"bytes"])
def test_a_sample_that_no_database_holds_is_left_out_whole(value: Any) -> None:
    assert whole({"request": [value]}) == {}


def test_the_uploaders_labels_win_over_the_models(upload_version: Make, tmp_path: Path) -> None:
    version = begun(upload_version({"digits.onnx": ONNX, "labels.txt": b"zero\none"}))
    library.finish_examination(version, ACCEPTED, fetch_sources(version, tmp_path)[0].path)
    assert version.class_labels == ["zero", "one"]


def test_a_refused_version_says_which_check_failed(upload_version: Make) -> None:
    version = begun(upload_version())
    library.record_check(version, evidence("safety", "failed", reason={"text": "It calls os.system.", "params": {}}))
    library.finish_examination(version, {"accepted": False}, None)
    assert version.state == "refused"
    assert states(version)["load"] == "skipped"
    entry = Entry.objects.latest("seq")
    assert entry.action == "version.refused"
    assert '"safety": "failed"' in entry.after
    assert not due(ModelVersion).exists()


def test_evidence_may_quote_anything(upload_version: Make) -> None:
    version = begun(upload_version())
    hostile = {
        "name": "a\x00b\ud800",
        "figures": [float("nan"), float("inf"), 1.5],
        "deep": [[[[[[[[[[[[[[1]]]]]]]]]]]]]],
    }
    check = library.record_check(version, evidence("content", details=hostile))
    check.refresh_from_db()
    assert check.details["name"] == "a\N{REPLACEMENT CHARACTER}b?"
    assert check.details["figures"] == [None, None, 1.5]


def test_a_worker_that_lost_its_lease_writes_nothing(upload_version: Make) -> None:
    late = begun(upload_version())
    ModelVersion.objects.filter(pk=late.pk).update(lease_until=timezone.now())
    begun(late)
    with pytest.raises(StateConflict):
        library.record_check(late, evidence("content"))
    with pytest.raises(StateConflict):
        library.finish_examination(late, {"accepted": False}, None)
    assert states(late)["content"] == "waiting"


def test_a_version_whose_worker_died_is_due_again(upload_version: Make) -> None:
    version = begun(upload_version())
    library.record_check(version, evidence("content"))
    ModelVersion.objects.filter(pk=version.pk).update(lease_until=timezone.now())
    assert list(due(ModelVersion)) == [version]
    again = begun(version)
    assert again.attempts == 2
    assert states(again)["content"] == "waiting"


def test_a_file_that_kills_every_worker_is_refused_in_the_end(upload_version: Make) -> None:
    version = upload_version()
    for _attempt in range(MAX_ATTEMPTS):
        begun(version)
        ModelVersion.objects.filter(pk=version.pk).update(lease_until=timezone.now())
    assert library.begin_examination(version.pk) is None
    version.refresh_from_db()
    assert (version.state, version.due_at) == ("refused", None)
    assert states(version)["examination"] == "failed"


def test_an_examination_that_failed_is_tried_again_later(upload_version: Make) -> None:
    version = begun(upload_version())
    library.fail_examination(version, {"text": "No room left.", "params": {}})
    version.refresh_from_db()
    assert (version.state, version.lease_until) == ("examining", None)
    assert version.due_at is not None
    assert version.due_at > timezone.now()
    assert Entry.objects.latest("seq").reason == "No room left."


def test_what_cannot_get_better_is_given_up_at_once(upload_version: Make) -> None:
    version = begun(upload_version())
    library.fail_examination(version, {"text": "It is %(what)s.", "params": {"what": "gone"}}, permanent=True)
    assert version.state == "refused"
    failed = version.checks.get(key="examination")
    assert (failed.reason or {})["params"] == {"what": "gone"}
