"""Two versions side by side, and several retired at once."""

from collections.abc import Callable

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from apps.audit.models import Entry
from apps.library import selectors
from apps.library import services as library
from apps.library.comparison import compare, diff, only_differences
from apps.library.models import MLModel, ModelVersion
from tests.cast import Cast
from tests.library.conftest import ONNX
from tests.library.test_pages import SCRIPTS, page

Make = Callable[..., ModelVersion]
Browser = Callable[[str], Client]
BASE = "/p/digits-team"
SIGNATURE = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}], "outputs": []}


def tell(version: ModelVersion, **facts: object) -> ModelVersion:
    ModelVersion.objects.filter(pk=version.pk).update(**facts)
    return selectors.load_evidence(ModelVersion.objects.select_related("model__project").get(pk=version.pk))


@pytest.fixture
def pair(upload_version: Make) -> tuple[ModelVersion, ModelVersion]:
    left = tell(
        upload_version(card="# Digits\n\nsame\nold line\n", labels={"run": "1"}),
        signature=SIGNATURE,
        profile={"latency_ms": {"p50": 1.0}, "file_bytes": 1000},
        requirements=["numpy==1.0", "onnx==2.0"],
        class_labels=["a", "b"],
    )
    wider = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 128]}], "outputs": []}
    right = tell(
        upload_version({"digits.onnx": ONNX + b"!"}, card="# Digits\n\nsame\nnew line\n", labels={"run": "2"}),
        signature=wider,
        profile={"latency_ms": {"p50": 1.5}, "file_bytes": 1000},
        requirements=["numpy==1.1", "onnx==2.0"],
        class_labels=["b", "a"],
    )
    return left, right


def test_everything_that_differs_is_marked(pair: tuple[ModelVersion, ModelVersion]) -> None:
    sections = {section.key: section for section in compare(*pair)}
    rows = {(key, row.title): row for key, section in sections.items() for row in section.rows}
    signature = rows["signature", "→ x"]
    assert (signature.left, signature.right) == ("FP32 n × 64", "FP32 n × 128")
    assert rows["profile", "Latency, median"].change == "+50 %"
    assert not rows["profile", "File that runs"].is_different
    assert [rows["requirements", name].is_different for name in ("numpy", "onnx")] == [True, False]
    assert rows["files", "digits.onnx"].is_different
    assert rows["labels", "run"].is_different
    assert rows["classes", "Order"].left == "a, b"
    assert [(line.mark, line.text) for line in sections["card"].lines if line.mark in ("gone", "come")] == [
        ("gone", "old line"),
        ("come", "new line"),
    ]
    short = only_differences(sections.values())
    assert all(row.is_different for section in short for row in section.rows)


def test_a_version_equals_itself(pair: tuple[ModelVersion, ModelVersion]) -> None:
    assert only_differences(compare(pair[0], pair[0])) == []


def test_long_texts_are_compared_in_part() -> None:
    lines = list(diff("\n".join(map(str, range(5000))), "\n".join(str(number * 2) for number in range(5000))))
    assert len(lines) < 3000
    assert [line.mark for line in diff("a\n" * 20 + "b", "a\n" * 20 + "c")] == ["gap", "same", "same", "gone", "come"]


def test_any_two_are_compared_on_a_page(
    browser: Browser, cast: Cast, pair: tuple[ModelVersion, ModelVersion], upload_version: Make
) -> None:
    other = library.create_model(actor=cast.actor("dana"), project=cast.project, name="other")
    upload_version(model=other, description=SCRIPTS[0], card="\n".join(SCRIPTS))
    client = browser("vic")
    assert "Two versions, side by side" in page(client, f"{BASE}/compare/")
    assert 'value="digits/1"' in page(client, f"{BASE}/compare/?version=digits/1")
    whole = page(client, f"{BASE}/compare/?version=digits/1&version=digits/2")
    short = page(client, f"{BASE}/compare/?version=digits/1&version=digits/2&only=differences")
    assert "onnx" in whole
    assert len(short) < len(whole)
    mixed = page(client, f"{BASE}/compare/?version=digits/1&version=other+v1")
    assert "<script>alert" not in mixed
    assert "They are equal" in page(client, f"{BASE}/compare/?version=digits/1&version=digits/1")
    for name in ("digits/9", "digits", "/1", "digits/99999999999999999999", "x/1"):
        page(client, f"{BASE}/compare/?version=digits/1&version={name}", status=404)
    page(browser("sam"), f"{BASE}/compare/?version=digits/1", status=404)


def test_many_are_retired_together_and_who_stays_is_named(
    browser: Browser, cast: Cast, digits: MLModel, upload_version: Make
) -> None:
    for number in range(1, 4):
        upload_version()
        ModelVersion.objects.filter(number=number).update(state="ready" if number < 3 else "examining")
    client = browser("dana")
    address = f"{BASE}/retire-versions/"
    asked = page(client, f"{address}?version=digits/1&version=digits/2&version=digits/3&version=x&version=digits/77")
    assert "Retire 3 versions" in asked
    answer = client.post(address, {"version": ["digits/1", "digits/2", "digits/3"], "note": "Old.", "sure": "yes"})
    assert answer.url == f"{BASE}/models/digits/"
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert told[0] == "2 versions are retired."
    assert told[1].startswith("digits v3 stays:")
    entries = Entry.objects.filter(action="version.retired")
    assert {(entry.object_label, entry.reason) for entry in entries} == {("digits v1", "Old."), ("digits v2", "Old.")}
    ModelVersion.objects.filter(number=1).update(state="ready")
    of_model = client.post(f"{address}?search=dig", {"models": ["digits", "unknown"]}).content.decode()
    assert 'value="digits/1"' in of_model
    assert 'value="digits/2"' not in of_model
    assert f"{address}?search=dig" in of_model
    assert browser("vic").post(address, {"version": ["digits/3"]}).status_code == 403
