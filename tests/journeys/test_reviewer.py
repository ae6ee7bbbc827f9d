"""Rhea: what waits for her, the review sheet, a rejection, an approval and what follows from it."""

import pytest
from playwright.sync_api import expect

from tests.journeys import steps
from tests.journeys.visitors import Visitor

REASON = "Nobody compared it with the baseline."


@pytest.fixture(scope="module")
def doubtful(dana: Visitor, tree: str, live: str) -> str:
    """A second release, for an endpoint that serves already; the path of its page."""
    return steps.propose(dana, "digits v2", "digits", "A tree. Smaller.")


def test_proposal_waits_on_her_overview_and_its_sheet_holds_what_she_needs(rhea: Visitor, doubtful: str) -> None:
    rhea.go(steps.ROOM)
    rhea.page.get_by_role("link", name="Review digits v2 for digits").click()
    sheet = rhea.page.get_by_role("main")
    for part in ("The proposal", "The change", "The evidence", "The policy", "A tree. Smaller."):
        expect(sheet.get_by_text(part, exact=True)).to_be_visible()
    assert rhea.path == doubtful
    expect(sheet.get_by_role("row").filter(has_text="(changed)").first).to_be_visible()
    subject = rhea.page.locator("input[name=subject]").input_value()
    assert len(subject) == 64
    expect(sheet.get_by_text(subject[:12]).first).to_be_visible()


def test_rejection_needs_a_comment_and_closes_the_release(rhea: Visitor, dana: Visitor, doubtful: str) -> None:
    rhea.go(doubtful)
    rhea.press("Reject")
    expect(rhea.page.get_by_text("A rejection needs a comment.", exact=True)).to_be_visible()
    rhea.page.get_by_label("Comment").fill(REASON)
    rhea.press("Reject")
    expect(rhea.page.get_by_role("heading", level=1)).to_contain_text("rejected")
    dana.go(doubtful)
    expect(dana.page.get_by_text(REASON)).to_be_visible()
    expect(dana.page.get_by_role("button", name="Withdraw")).to_have_count(0)


def test_approved_release_is_live_and_everything_is_in_the_log(rhea: Visitor, proposal: str, live: str) -> None:
    rhea.go(proposal)
    expect(rhea.page.locator("#progress .timeline")).to_contain_text("traffic")
    assert rhea.go(live) == 200
    rhea.go(f"{steps.ROOM}/audit/")
    log = rhea.page.get_by_role("main")
    for action in ("release.proposed", "release.approved"):
        expect(log.locator(".entry-action", has_text=action).first).to_be_visible()
