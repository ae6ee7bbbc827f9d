"""Uma has never seen it: from the set-up link to the first call of a live endpoint, alone, with the sample model."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from apps.library.services.sample import SAMPLE_FOLDER
from tests.journeys import deadlines, stack, steps
from tests.journeys.calls import call, wait_until
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor

PROMISED_SECONDS = 600


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """An installation of its own, where nobody exists yet."""
    with stack.start(tmp_path / "home") as running:
        yield running


@pytest.fixture
def uma(chromium: Browser, empty: Stack, visitors: list[Visitor]) -> Iterator[Visitor]:
    """Leaves before her installation ends: a page that is left open goes on asking."""
    person = Visitor(chromium, empty.web, "Uma Castell", "uma@example.com")
    visitors.append(person)
    yield person
    person.context.close()


def test_newcomer_alone_has_a_live_endpoint_within_ten_minutes(uma: Visitor, empty: Stack) -> None:
    begun = time.monotonic()
    steps.set_up(uma, empty.setup_path)
    uma.press("Use the sample model")
    steps.expect_examined(uma, "ready")
    propose_from_the_overview(uma)
    relax_the_policy(uma)
    uma.press("Propose")
    steps.expect_live(uma)
    key = make_key_from_the_overview(uma)
    assert ask_sample(empty, key) == ["setosa", "setosa", "virginica"]
    assert time.monotonic() - begun < PROMISED_SECONDS
    wait_until(lambda: uma.go(steps.ROOM) and not see_steps(uma), deadlines.MEASURED, what="the steps to be over")


def propose_from_the_overview(uma: Visitor) -> None:
    """A proposal for an endpoint that is made on the way; nobody but Uma is there to approve it."""
    uma.go(f"{steps.ROOM}/")
    uma.page.get_by_role("link", name="Propose iris v1").click()
    uma.page.get_by_role("link", name="Make a new endpoint").click()
    expect(uma.page.get_by_label("Name", exact=True)).to_have_value("iris")
    uma.page.get_by_label("Environment").select_option(label="staging")
    uma.press("Save")
    expect(uma.page.get_by_label("Endpoint", exact=True).locator("option:checked")).to_contain_text("1 approval")
    uma.press("Propose")


def relax_the_policy(uma: Visitor) -> None:
    """From the sheet that says why nobody can approve, to the policy, back, and to the form that proposes again."""
    expect(uma.page.get_by_text("Nobody else here can approve it")).to_be_visible()
    expect(uma.page.get_by_role("link", name="Invite a reviewer")).to_be_visible()
    uma.page.get_by_role("link", name="Change the policy of staging").click()
    uma.page.get_by_label("Approvals needed").fill("0")
    uma.press("Save")
    uma.page.get_by_role("link", name="Propose it again").click()
    expect(uma.page.get_by_label("Endpoint", exact=True).locator("option:checked")).to_contain_text("no approval")


def make_key_from_the_overview(uma: Visitor) -> str:
    uma.go(f"{steps.ROOM}/")
    uma.page.get_by_role("link", name="Make a key").click()
    expect(uma.page.get_by_label("Endpoints it may call")).to_have_value("iris")
    uma.page.get_by_label("Name", exact=True).fill("My first program")
    uma.press("Make key")
    text = uma.read(uma.page.locator("#key-text"))
    uma.page.get_by_role("link", name="How to call iris").click()
    expect(uma.page.get_by_role("main")).to_contain_text("curl")
    return text


def ask_sample(empty: Stack, key: str) -> list[str]:
    """The kinds of the example's three flowers, by a call with the key."""
    url = f"{empty.gateway}/{steps.PROJECT}/iris/v2/models/iris/infer"
    body = json.loads((SAMPLE_FOLDER / "example.json").read_text())
    answer = wait_until(lambda: took(url, key, body), deadlines.REVOKED, what="the new key to be taken")
    outputs = {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}
    names = (SAMPLE_FOLDER / "labels.txt").read_text().split()
    return [names[number] for number in outputs["label"]]


def took(url: str, key: str, body: object) -> dict | None:
    answer = call(url, key=key, body=body)
    return answer.json if answer.status == 200 else None


def see_steps(uma: Visitor) -> bool:
    return uma.page.get_by_text("Four steps to a live endpoint").is_visible()
