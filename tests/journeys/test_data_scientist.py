"""Dana: from a dropped file to a proposal, and what is refused on the way."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.journeys import steps
from tests.journeys.model_files import SCRIPT
from tests.journeys.visitors import Visitor


def test_dropped_file_shows_its_progress_and_is_examined_before_her_eyes(dana: Visitor, files: Path) -> None:
    dana.go(f"{steps.ROOM}/upload/")
    dana.drop(files / "double.onnx")
    line = dana.page.locator("[data-files] li")
    expect(line).to_contain_text("double.onnx")
    expect(line).to_have_attribute("data-state", "done")
    expect(line.get_by_role("progressbar")).to_have_js_property("position", 1)
    name, standing = dana.page.get_by_label("Model", exact=True), dana.page.locator("[data-standing]")
    expect(name).to_have_value("double")
    expect(standing).to_have_text("A new model of this name is made.")
    name.fill("Not a name")
    expect(standing).to_contain_text("Small letters")
    name.fill("double")
    dana.press("Create version")
    expect(dana.page.locator("#version-state")).to_be_visible()
    dana.page.evaluate("window.isSameDocument = true")
    steps.expect_examined(dana, "ready")
    assert dana.page.evaluate("window.isSameDocument"), "the page was loaded again"
    expect(dana.page.locator("[data-check][data-state=passed]").first).to_be_visible()
    expect(dana.page.locator("[data-check][data-state=running]")).to_have_count(0)
    expect(dana.page.get_by_role("link", name="Propose release")).to_be_visible()


def test_version_page_tells_what_the_model_takes_and_how_well_it_was_converted(dana: Visitor, regression: str) -> None:
    dana.go(regression)
    expect(dana.page.get_by_role("main")).to_contain_text("scikit-learn")
    for check in dana.page.locator("[data-check]").all():
        assert check.get_attribute("data-state") in {"passed", "skipped"}, check.text_content()
    dana.page.get_by_role("link", name="Signature").click()
    expect(dana.page.get_by_role("main")).to_contain_text("probabilities")
    expect(dana.page.get_by_role("main")).to_contain_text("FP32")


def test_name_with_markup_is_refused_before_it_is_sent(dana: Visitor, files: Path) -> None:
    dana.go(f"{steps.ROOM}/upload/")
    dana.drop(files / "double.onnx")
    expect(dana.page.locator("[data-state=done]")).to_have_count(1)
    name = dana.page.get_by_label("Model", exact=True)
    name.fill("<img src=x>")
    expect(dana.page.locator("[data-standing]")).to_contain_text("Small letters")
    dana.press("Create version")
    assert name.evaluate("field => field.matches(':invalid')")
    expect(name).to_be_focused()
    expect(name).to_have_value("<img src=x>")
    assert dana.path == f"{steps.ROOM}/upload/"


def test_script_in_a_card_and_in_a_description_is_only_text(dana: Visitor, files: Path) -> None:
    path = steps.upload(dana, files / "double.onnx", files / "README.md", model="inert", description=f"Ahoy {SCRIPT}")
    expect(dana.page.get_by_text("Ahoy <img src=x")).to_be_visible()
    dana.go(f"{path}tab/card/")
    card = dana.page.get_by_role("article")
    expect(card.get_by_text("handwritten digits")).to_have_css("font-weight", "600")
    expect(card.locator("img, script, [onerror], a[href^='javascript']")).to_have_count(0)
    dana.go(f"{steps.ROOM}/models/inert/")
    expect(dana.page).not_to_have_title("owned")


@pytest.mark.parametrize(
    ("name", "check", "words"),
    [
        ("malicious.pkl", "safety", ["builtins.eval", "ONNX"]),
        ("truncated.joblib", "", ["again"]),
        ("language.gguf", "format", ["GGUF", "ONNX"]),
    ],
)
def test_bad_file_is_refused_with_the_check_the_reason_and_what_to_do(
    dana: Visitor, files: Path, name: str, check: str, words: list[str]
) -> None:
    steps.upload(dana, files / name, model=f"bad-{Path(name).stem}")
    steps.expect_examined(dana, "refused")
    failed = dana.page.locator("[data-check][data-state=failed]")
    expect(failed).to_have_count(1)
    assert_explained(failed, words)
    expect(dana.page.get_by_role("link", name="Propose release", disabled=True)).to_be_visible()
    dana.go(steps.ROOM)
    expect(dana.page.get_by_text(f"bad-{Path(name).stem} v1 was refused")).to_be_visible()


def assert_explained(failed: Locator, words: list[str]) -> None:
    expect(failed.get_by_text("Why")).to_be_visible()
    expect(failed.get_by_text("What to do")).to_be_visible()
    for word in words:
        expect(failed).to_contain_text(word, ignore_case=True)


def test_author_proposes_and_cannot_approve(dana: Visitor, proposal: str) -> None:
    dana.go(proposal)
    expect(dana.page.get_by_text("Our baseline. Simple and fast.")).to_be_visible()
    expect(dana.page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(dana.page.get_by_role("button", name="Withdraw")).to_be_visible()
