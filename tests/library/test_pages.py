"""The library's pages: who sees what, what is said, and that nothing a person writes is more than text."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from apps.audit.models import Entry
from apps.audit.services import record
from apps.core.search import find
from apps.library import services as library
from apps.library.cards import render_card
from apps.library.models import MLModel, ModelVersion
from tests.cast import Cast
from tests.library.conftest import ONNX
from tests.library.test_api import SIGNED_IN, complete_upload
from tests.library.test_examinations import ACCEPTED, begun, evidence

BASE = "/p/digits-team"
TABS = ("checks", "signature", "profile", "card", "files", "lineage", "history")
HTMX = {"HX-Request": "true"}
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[click](javascript:alert(1))",
    "<svg/onload=alert(1)>",
    "{{ 77777|add:1 }}{% csrf_token %}",
    "<a href='data:text/html,x' hx-get='/x' style='position:fixed'>y</a>",
    "![x](https://example.com/pixel.png)",
    "<details open ontoggle=alert(1)>",
    "</textarea></title><iframe src=//example.com>",
)
HARM = ("<script>alert", "<img", "<svg/onload", "<iframe", "ontoggle=alert(1)>", 'href="javascript', "77778")
Browser = Callable[[str], Client]
Make = Callable[..., ModelVersion]


def page(client: Client, path: str, status: int = 200, **options: Any) -> str:
    answer = client.get(path, **options)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.content.decode()


@pytest.fixture
def accepted(upload_version: Make, tmp_path: Any) -> ModelVersion:
    version = begun(upload_version({"digits.skops": b"PK", "README.md": b"# Digits"}, labels={"commit": "4f1c2aa"}))
    library.record_check(version, evidence("content", details={"bytes": 2, "names": ["a", "b"], "inner": {"x": None}}))
    converted = tmp_path / "model.onnx"
    converted.write_bytes(ONNX)
    latency = {"p50": 0.0098, "p99": 0.02, "batch_8": 0.03, "batch_32": 0.1}
    package = {"name": "onnxruntime", "version": "1.23.2", "licence": "MIT License"}
    throughput = {"rows_per_second": 41234.5, "rows": 32}
    profile = {"latency_ms": latency, "throughput": throughput, "packages": [package]}
    return library.finish_examination(version, {**ACCEPTED, "profile": profile}, converted)


@pytest.mark.parametrize("name", ["vic", "dana", "rhea", "omar", "ada"])
def test_everybody_in_the_project_reads_every_page(browser: Browser, accepted: ModelVersion, name: str) -> None:
    client = browser(name)
    for path in ("models/", "models/digits/", "models/digits/1/", "models/digits/1/live/"):
        assert "digits" in page(client, f"{BASE}/{path}")
    for tab in TABS:
        page(client, f"{BASE}/models/digits/1/tab/{tab}/")
    page(client, f"{BASE}/models/digits/1/tab/secrets/", status=404)


@pytest.mark.parametrize(
    "path", ["models/", "upload/", "models/digits/", "models/digits/1/", "models/digits/1/tab/files/"]
)
def test_a_stranger_finds_nothing(browser: Browser, accepted: ModelVersion, path: str) -> None:
    page(browser("sam"), f"{BASE}/{path}", status=404)
    if path not in ("models/", "upload/"):
        page(browser("sam"), f"/p/elsewhere/{path}", status=404)


def test_nobody_reads_without_signing_in(client: Client, accepted: ModelVersion) -> None:
    assert client.get(f"{BASE}/models/digits/1/").status_code == 302


@pytest.mark.parametrize(("name", "may"), [("dana", True), ("ada", True), ("vic", False), ("rhea", False)])
def test_what_a_role_cannot_do_is_not_offered(browser: Browser, accepted: ModelVersion, name: str, may: bool) -> None:
    client = browser(name)
    assert ("Upload a model" in page(client, f"{BASE}/models/")) is may
    assert ("Propose release" in page(client, f"{BASE}/models/digits/1/")) is may
    assert ("Retire" in page(client, f"{BASE}/models/digits/1/")) is may
    page(client, f"{BASE}/upload/", status=200 if may else 403)
    assert client.post(f"{BASE}/models/digits/1/retire/").status_code == (302 if may else 403)


def test_only_a_ready_version_can_be_proposed(browser: Browser, upload_version: Make) -> None:
    upload_version()
    assert re.search(
        r'aria-disabled="true"[^>]*>.*?Propose release', page(browser("dana"), f"{BASE}/models/digits/1/"), re.S
    )


def test_an_empty_library_is_a_drop_zone(browser: Browser, cast: Cast) -> None:
    assert "data-drop" in page(browser("dana"), f"{BASE}/models/")
    viewed = page(browser("vic"), f"{BASE}/models/")
    assert "data-drop" not in viewed
    assert "No model yet" in viewed


def test_a_list_is_narrowed_and_a_fragment_answers_htmx(browser: Browser, cast: Cast, accepted: ModelVersion) -> None:
    library.create_model(actor=cast.actor("dana"), project=cast.project, name="wine", tags=["demo"])
    client = browser("dana")
    fragment = page(client, f"{BASE}/models/?tag=demo", headers=HTMX)
    assert "<html" not in fragment
    assert "wine" in fragment
    assert "/models/digits/" not in fragment
    assert 'aria-current="true"' in fragment
    assert "No model fits" in page(client, f"{BASE}/models/?search=nothing")


def test_models_are_tagged_together(browser: Browser, cast: Cast, digits: MLModel) -> None:
    library.create_model(actor=cast.actor("dana"), project=cast.project, name="wine", tags=["demo"])
    client = browser("dana")
    client.post(f"{BASE}/tag-models/", {"models": ["digits", "wine"], "tag": "Demo"})
    assert set(MLModel.objects.values_list("name", "tags__0")) == {("digits", "demo"), ("wine", "demo")}
    assert Entry.objects.filter(action="model.edited").count() == 1
    client.post(f"{BASE}/tag-models/", {"models": ["digits"], "tag": "<script>"})
    client.post(f"{BASE}/tag-models/", {"models": ["unknown"], "tag": "x"})
    assert Entry.objects.filter(action="model.edited").count() == 1
    MLModel.objects.filter(name="wine").update(tags=[f"t{number}" for number in range(20)])
    answer = client.post(f"{BASE}/tag-models/", {"models": ["digits", "wine"], "tag": "new"})
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert told[-2:] == ["1 model has the tag now.", "wine stays: A model can have at most 20 tags."]


def test_a_model_is_edited_on_its_page(browser: Browser, digits: MLModel) -> None:
    client = browser("dana")
    client.post(f"{BASE}/models/digits/edit/", {"description": "Reads digits.", "task": "", "tags": "a, b"})
    digits.refresh_from_db()
    assert (digits.description, digits.tags) == ("Reads digits.", ["a", "b"])
    answer = client.post(f"{BASE}/models/digits/edit/", {"tags": "<b>"})
    assert answer.status_code == 422
    assert "cannot be a tag" in answer.content.decode()
    page(browser("vic"), f"{BASE}/models/digits/edit/", status=403)


def test_an_upload_becomes_a_version_and_the_page_goes_there(browser: Browser, cast: Cast) -> None:
    form = {
        "model": "digits",
        "uploads": str(complete_upload(cast).pk),
        "labels": "commit = 4f1c2aa\n\ndata=2026-10=b",
        "example": '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}',
    }
    answer = browser("dana").post(f"{BASE}/upload/", form, headers=HTMX)
    assert answer["HX-Redirect"] == f"{BASE}/models/digits/1/"
    version = ModelVersion.objects.get()
    assert version.labels == {"commit": "4f1c2aa", "data": "2026-10=b"}
    assert [e.action for e in Entry.objects.order_by("seq")][-2:] == ["model.created", "version.uploaded"]


def test_without_a_script_the_form_brings_the_files(browser: Browser, upload_version: Make) -> None:
    upload_version()
    form = {"model": "digits", "files": [SimpleUploadedFile("digits.onnx", ONNX)], "parent": "digits/1"}
    answer = browser("dana").post(f"{BASE}/upload/", form)
    assert answer["Location"] == f"{BASE}/models/digits/2/"
    assert ModelVersion.objects.get(number=2).parent == ModelVersion.objects.get(number=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "Bad Name"}, "cannot be the name of a model"),
        ({"model": ""}, "required"),
        ({"uploads": ""}, "Add the file"),
        ({"uploads": "x"}, "Add the file"),
        ({"labels": "novalue"}, "name=value"),
        ({"example": "{"}, "not valid JSON"),
        ({"example": "{}"}, "not an inference request"),
        ({"example": '{"inputs": [{"data": [NaN]}]}'}, "not JSON"),
    ],
)
def test_a_form_that_is_not_right_says_so_beside_the_field(
    browser: Browser, cast: Cast, change: dict[str, str], says: str
) -> None:
    form = {"model": "digits", "uploads": str(complete_upload(cast).pk), **change}
    answer = browser("dana").post(f"{BASE}/upload/", form, headers=HTMX)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert ModelVersion.objects.count() == 0


def test_a_version_without_a_model_file_leaves_no_model_behind(browser: Browser, cast: Cast) -> None:
    upload = complete_upload(cast, b"# only words", "README.md")
    answer = browser("dana").post(f"{BASE}/upload/", {"model": "words", "uploads": str(upload.pk)}, headers=HTMX)
    assert answer.status_code == 422
    assert "data-problem" in answer.content.decode()
    assert not MLModel.objects.filter(name="words").exists()
    upload.refresh_from_db()
    assert upload.state == "complete"


def test_checks_are_asked_for_only_while_they_move(browser: Browser, upload_version: Make) -> None:
    client, version = browser("dana"), upload_version()
    assert "every 1s" in page(client, f"{BASE}/models/digits/1/")
    version = begun(version)
    library.record_check(version, evidence("content", "running"))
    assert "every 1s" in page(client, f"{BASE}/models/digits/1/live/")
    told = {
        "reason": {"text": "It calls %(name)s.", "params": {"name": "os.system"}},
        "advice": {"text": "Use skops.", "params": {}},
    }
    library.record_check(version, evidence("content", "failed", **told))
    library.finish_examination(version, {"accepted": False}, None)
    live = page(client, f"{BASE}/models/digits/1/live/")
    assert "every 1s" not in live
    assert 'id="version-actions" hx-swap-oob="true"' in live
    for words in ("It calls os.system.", "Use skops.", "What to do"):
        assert words in live
    assert re.search(r"<details open\s+id=\"check-content-failed\"", live)


def test_a_version_is_retired_and_brought_back(browser: Browser, accepted: ModelVersion) -> None:
    client = browser("dana")
    client.post(f"{BASE}/models/digits/1/retire/")
    assert "Bring back into use" in page(client, f"{BASE}/models/digits/1/")
    client.post(f"{BASE}/models/digits/1/restore/")
    accepted.refresh_from_db()
    assert accepted.state == "ready"
    history = page(client, f"{BASE}/models/digits/1/tab/history/")
    for deed in ("Uploaded", "Examined and accepted", "Retired", "Brought back into use"):
        assert deed in history


def test_the_tabs_tell_what_was_found(browser: Browser, upload_version: Make, accepted: ModelVersion) -> None:
    upload_version(parent=accepted)
    client = browser("vic")
    assert "n × 64" in page(client, f"{BASE}/models/digits/1/tab/signature/")
    assert "no release of this version is compared" in page(client, f"{BASE}/models/digits/1/tab/signature/")
    text = page(client, f"{BASE}/models/digits/1/tab/profile/")
    assert 'data-chart="latency-figure"' in text
    assert all(words in text for words in ("41,234", "rows/s", "32 rows in a call", "MIT License", "1.7.2"))
    lineage = page(client, f"{BASE}/models/digits/1/tab/lineage/")
    for words in ("Dana", "digits.skops", "model.onnx", "This is what runs.", "digits v2"):
        assert words in lineage
    answer = client.get(f"{BASE}/models/digits/1/download/?file=model.onnx")
    assert b"".join(answer.streaming_content) == ONNX  # type: ignore[attr-defined]


def test_files_stand_in_their_folders(browser: Browser, upload_version: Make) -> None:
    names = ("saved_model.pb", "variables/deep/index", "variables/data", "assets/words.txt")
    upload_version({name: ONNX + name.encode() for name in names})
    text = page(browser("vic"), f"{BASE}/models/digits/1/tab/files/")
    rows = re.findall(r'file-name depth-(\d)">.*?</svg>\s*([^<]+?)\s*<', text, re.DOTALL)
    assert rows == [
        ("0", "assets/"),
        ("1", "words.txt"),
        ("0", "variables/"),
        ("1", "deep/"),
        ("2", "index"),
        ("1", "data"),
        ("0", "saved_model.pb"),
    ]


def test_a_long_history_comes_page_by_page(browser: Browser, accepted: ModelVersion, cast: Cast) -> None:
    with transaction.atomic():
        for _ in range(60):
            record(cast.actor("dana"), "version.card_edited", accepted)
    client, address = browser("vic"), f"{BASE}/models/digits/1/tab/history/"
    first = page(client, address)
    assert first.count("Card edited") == 50
    onward = re.search(r'rel="next" href="([^"]+)"', first)
    assert onward is not None
    rest = page(client, address + onward[1])
    assert (rest.count("Card edited"), "Uploaded" in rest) == (10, True)


def test_the_signature_names_the_columns_and_shortens_a_long_sample(browser: Browser, accepted: ModelVersion) -> None:
    table = {"name": "x", "datatype": "FP32", "shape": [-1, 2], "columns": ["age", "<fare>"]}
    rows = {"name": "x", "datatype": "FP32", "shape": [600, 2], "data": list(range(1200))}
    answer = {"outputs": [{**rows, "name": "y", "data": [1, 2]}]}
    signature = {**(accepted.signature or {}), "inputs": [table]}
    golden = {"request": {"inputs": [rows]}, "response": answer}
    ModelVersion.objects.filter(pk=accepted.pk).update(signature=signature, golden=golden)
    text = page(browser("vic"), f"{BASE}/models/digits/1/tab/signature/")
    assert "Columns of x" in text
    assert "&lt;fare&gt;" in text
    assert "499" in text
    assert "500," not in text
    assert "the first 500 values of each tensor" in text
    assert "Every release is compared with it" in text


def test_what_people_write_is_only_text(browser: Browser, cast: Cast, upload_version: Make) -> None:
    hostile = "\n\n".join(SCRIPTS)
    model = library.create_model(
        actor=cast.actor("dana"), project=cast.project, name="hostile", description=hostile, task=SCRIPTS[1][:60]
    )
    labels = {f"l{number}": text for number, text in enumerate(SCRIPTS)}
    version = begun(upload_version(model=model, description=hostile, card=hostile, labels=labels))
    sentence = {"text": "It says %(it)s", "params": {"it": hostile}}
    told = {
        "summary": sentence,
        "reason": sentence,
        "advice": sentence,
        "details": {hostile: hostile, "list": [hostile]},
    }
    library.record_check(version, {"check": "content", "state": "failed", **told})
    library.finish_examination(version, {"accepted": False, "framework": SCRIPTS[0]}, None)
    client = browser("dana")
    paths = ["models/", "models/hostile/", "models/hostile/1/live/"] + [f"models/hostile/1/tab/{tab}/" for tab in TABS]
    for path in paths:
        shown = page(client, f"{BASE}/{path}")
        for harm in HARM:
            assert harm not in shown, (path, harm)


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_card_keeps_only_an_exact_list_of_tags(text: str) -> None:
    html = render_card(f"---\nlicense: mit\n---\n# Title\n\n{text}\n\n| a |\n|---|\n| 1 |\n")
    assert "license" not in html
    assert html.startswith("<h1>Title</h1>")
    assert "<table>" in html
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"h1", "p", "table", "thead", "tbody", "tr", "th", "td", "a"}
    assert not re.search(r"<[^>]+\s(on\w+|style|hx-\w+)=", html)
    assert "javascript:" not in re.sub(r">[^<]*<", "><", html)


def test_pages_ask_the_database_a_fixed_number_of_times(
    browser: Browser, cast: Cast, upload_version: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        model = library.create_model(actor=cast.actor("dana"), project=cast.project, name=f"m{number}", tags=["a"])
        upload_version(model=model)
        upload_version()
    client = browser("dana")
    page(client, f"{BASE}/models/")
    with django_assert_max_num_queries(6 + SIGNED_IN):  # roles, project, facets, known models, count, page
        page(client, f"{BASE}/models/")
    with django_assert_max_num_queries(5 + SIGNED_IN):  # roles, project, model, count, page
        page(client, f"{BASE}/models/digits/")
    with django_assert_max_num_queries(4 + SIGNED_IN):  # roles, project, version, checks
        page(client, f"{BASE}/models/digits/1/")


def test_the_search_over_everything_finds_models_and_versions(cast: Cast, upload_version: Make) -> None:
    version = upload_version()
    hits = find(cast.actor("vic"), cast.project, "digits")
    assert [(hit.label, hit.href) for hit in hits] == [("digits", f"{BASE}/models/digits/")]
    for text in ("digits v1", version.digest[:8]):
        assert any(hit.label == "digits v1" for hit in find(cast.actor("vic"), cast.project, text))
    assert find(cast.actor("sam"), cast.project, "digits") == []
