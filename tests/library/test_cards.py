"""Model cards: what is read out of them, what they lack, how they are edited, and the bill of materials."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.test import Client
from hypothesis import given
from hypothesis import strategies as some

from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from apps.library import front_matter, index, selectors
from apps.library import services as library
from apps.library.bom import make_bom, write_bom
from apps.library.completeness import PARTS, check_card, template
from apps.library.metadata import export_card, read_metadata
from apps.library.models import ModelVersion
from tests.cast import Cast
from tests.library.test_examinations import ACCEPTED, begun
from tests.library.test_pages import SCRIPTS, page
from worker.inspection.candidates import look
from worker.inspection.cards import read_card

Make = Callable[..., ModelVersion]
BASE = "/p/digits-team/models/digits/1"
CARD = """---
license: apache-2.0
language: [en, zh]
pipeline_tag: tabular-classification
tags: [Finance, "not a tag", weekly]
datasets: [org/transactions]
metrics: accuracy
released: 2024-05-01
model-index:
- name: fraud
  results:
  - task: {type: tabular-classification}
    dataset: {name: Held-out 2024, type: org/transactions}
    metrics:
    - {type: accuracy, value: 0.93}
    - {type: f1, value: 0.81, name: F1 of fraud}
---
# Fraud

## Uses

### Direct use
Flags card payments for a person to look at.

### Out-of-scope use
It must not block payments on its own.

## 联系方式
负责人是风控团队，请写信给他们谢谢配合。
"""
COMPLETE = "# All\n" + "\n".join(f"## {part.title}\nEverything that there is to say.\n" for part in PARTS)


def missing(card: str) -> list[str]:
    return [found.part.key for found in check_card(card) if not found.is_there]


def test_front_matter_of_model_hubs_is_understood() -> None:
    facts = read_metadata(CARD)
    assert (facts.licence, facts.languages, facts.metrics) == ("apache-2.0", ["en", "zh"], ["accuracy"])
    assert [(one.metric, one.value, one.dataset) for one in facts.results] == [
        ("accuracy", "0.93", "Held-out 2024"),
        ("F1 of fraud", "0.81", "Held-out 2024"),
    ]
    assert front_matter.read(CARD)["released"] == "2024-05-01"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("a: &x [1]\nb: *x", "refers to parts"),
        ("a: " + "[" * 12 + "]" * 12, "too deep"),
        ("a: [" + "1," * 3000 + "]", "too many"),
        ("a: " + "x" * 70_000, "64 KiB"),
        ("a: [", "can't be read"),
        ("- 1\n- 2", "no names"),
        ("a: !!python/object/apply:os.system [id]", "can't be read"),
        ("a: !!binary x", "can't be read"),
        ("? [a]\n: b", "can't be read"),
    ],
)
def test_front_matter_that_could_unfold_or_run_is_refused(block: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        front_matter.read(f"---\n{block}\n---\n# Card\n")
    assert read_metadata(f"---\n{block}\n---\n# Card\n").problem


@given(some.text(alphabet="---:[]{}&*!|>#\n \"'ab1,?", max_size=80))
def test_any_front_matter_is_read_or_refused(block: str) -> None:
    try:
        front_matter.read(f"---\n{block}\n---\n")
    except Invalid:
        return
    read_metadata(f"---\n{block}\n---\n")


def test_what_a_card_lacks_is_told() -> None:
    assert missing(CARD) == ["ethics"]
    assert missing(COMPLETE) == []
    assert missing("") == missing(template("digits")) == [part.key for part in PARTS]
    assert "intended_use" in missing("```\n# Intended use\nNot a heading, since this is code.\n```\n")
    assert "intended_use" in missing("# Intended use\n\n<!-- Who may use it for what, on which inputs. -->\n")


def test_long_cards_cost_little() -> None:
    check_card("# a\n" * 50_000 + "## b\n" * 50_000)
    check_card("<!--" * 50_000 + "```\n" * 50_000 + "---\n" * 50_000)


def test_a_card_gives_its_model_task_and_tags_once(cast: Cast, upload_version: Make) -> None:
    model = library.create_model(actor=cast.actor("dana"), project=cast.project, name="fraud")
    upload_version(model=model, card=CARD)
    model.refresh_from_db()
    assert (model.task, model.tags) == ("classification", ["finance", "weekly"])
    upload_version(model=model, card=CARD.replace("Finance", "other"))
    model.refresh_from_db()
    assert model.tags == ["finance", "weekly"]


def test_a_readme_in_an_archive_becomes_the_card(cast: Cast, tmp_path: Any) -> None:
    files = {"model/README.md": CARD.encode(), "model/docs/README.md": b"other", "labels.txt": b"a\nb"}
    candidates = []
    for name, data in files.items():
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(data)
        candidates.append(look(path, name, len(data)))
    assert read_card(candidates) == CARD
    assert read_card(candidates[2:]) == ""


def test_a_card_that_was_found_inside_gives_way_to_one_that_was_written(
    cast: Cast, upload_version: Make, tmp_path: Any
) -> None:
    served = tmp_path / "model.onnx"
    served.write_bytes(b"onnx")
    version = library.finish_examination(begun(upload_version()), {**ACCEPTED, "card": CARD + "\x00"}, served)
    version.refresh_from_db()
    version.model.refresh_from_db()
    assert version.card.startswith("---\nlicense")
    assert version.model.tags == ["finance", "weekly"]
    assert [found.name for found in index.find(cast.project.pk, "风控团队")] == ["digits"]
    own = library.finish_examination(begun(upload_version(card="# Mine")), {**ACCEPTED, "card": CARD}, served)
    own.refresh_from_db()
    assert own.card == "# Mine"


def test_an_edit_keeps_what_was_there(cast: Cast, upload_version: Make) -> None:
    version, dana = upload_version(card="# One"), cast.actor("dana")
    assert selectors.card_revision(version) == 1
    library.edit_card(actor=dana, version=version, card="# Two\r\n", base=1)
    library.edit_card(actor=cast.actor("ada"), version=version, card="# Three", base=2)
    assert [(row.number, row.card) for row in version.card_revisions.all()] == [
        (3, "# Three"),
        (2, "# Two\n"),
        (1, "# One"),
    ]
    entries = Entry.objects.filter(action="version.card_edited")
    assert [json.loads(entry.after)["revision"] for entry in entries] == [3, 2]
    with pytest.raises(StateConflict, match="while you were writing"):
        library.edit_card(actor=dana, version=version, card="# Four", base=2)
    with pytest.raises(Invalid, match="can't be read"):
        library.edit_card(actor=dana, version=version, card="---\na: [\n---\n", base=3)
    with pytest.raises(NotAllowed):
        library.edit_card(actor=cast.actor("rhea"), version=version, card="# Mine", base=3)
    library.edit_card(actor=dana, version=version, card="# Three", base=3)  # nothing new
    assert entries.count() == 2


def test_a_card_is_written_on_its_page(browser: Callable[[str], Client], upload_version: Make) -> None:
    upload_version()
    client = browser("dana")
    assert "## Intended use" in page(client, f"{BASE}/card/")
    preview = client.post(f"{BASE}/card/preview/", {"card": f"# Hi\n\n{SCRIPTS[0]}"}).content.decode()
    assert "<h1>Hi</h1>" in preview
    assert "<script>alert" not in preview
    assert client.post(f"{BASE}/card/", {"card": "# New", "base": 1}).status_code == 302
    late = client.post(f"{BASE}/card/", {"card": "# Late", "base": 1})
    assert late.status_code == 422
    assert "while you were writing" in late.content.decode()
    assert "# Late" in late.content.decode()
    shown = page(client, f"{BASE}/tab/card/")
    assert "<h1>New</h1>" in shown
    assert "What the card says" in shown
    earlier = page(client, f"{BASE}/tab/card/?revision=1")
    assert "<ins># New</ins>" in earlier
    page(client, f"{BASE}/tab/card/?revision=9", status=404)


def test_an_exported_card_is_read_back_alike(cast: Cast, upload_version: Make) -> None:
    model = library.create_model(
        actor=cast.actor("dana"), project=cast.project, name="fraud", task="classification", tags=["weekly"]
    )
    version = upload_version(model=model, card=CARD)
    ModelVersion.objects.filter(pk=version.pk).update(framework="xgboost")
    version.refresh_from_db()
    text = export_card(version)
    assert front_matter.read(text) == {"library_name": "xgboost", **front_matter.read(CARD)}
    assert text.endswith(front_matter.split(CARD)[1])
    version.card = ""
    assert front_matter.read(export_card(version))["tags"] == ["weekly"]


def validate(text: str) -> Any:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def test_a_bill_of_materials_fits_its_schema(
    browser: Callable[[str], Client], upload_version: Make, tmp_path: Any
) -> None:
    version = begun(upload_version({"digits.skops": b"PK"}, card=CARD, labels={"commit": "4f1c2aa"}))
    converted = tmp_path / "model.onnx"
    converted.write_bytes(b"onnx")
    version = library.finish_examination(
        version, {**ACCEPTED, "requirements": ["onnxruntime==1.23.2", "numpy"]}, converted
    )
    answer = browser("vic").get(f"{BASE}/bom.json")
    bom = validate(answer.content.decode())
    component = bom["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    card = component["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"type": "dataset", "name": "org/transactions"}]
    assert {"type": "accuracy", "value": "0.93", "slice": "Held-out 2024"} in card["quantitativeAnalysis"][
        "performanceMetrics"
    ]
    assert "Flags card payments" in card["considerations"]["useCases"][0]
    assert {part["name"] for part in bom["components"]} == {"digits.skops", "model.onnx", "onnxruntime", "numpy"}
    assert len(bom["dependencies"][0]["dependsOn"]) == 4
    assert answer.content.decode() == write_bom(make_bom(selectors.load_evidence(version)))


def test_a_bill_of_materials_of_next_to_nothing_fits_too(upload_version: Make) -> None:
    version = upload_version(card="---\nlicense: some words of ours\nlicense_link: javascript:alert(1)\n---\n")
    bom = validate(write_bom(make_bom(selectors.load_evidence(version))))
    assert bom["metadata"]["component"]["licenses"] == [{"license": {"name": "some words of ours"}}]
