"""Pages that renew themselves leave the reader alone: the focus stays, and nothing moves under the pointer."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys import steps
from tests.journeys.visitors import Visitor

REFRESHED = [("", "#overview"), ("endpoints/", ".page-main > div"), ("releases/", "#releases")]
RENEW = "area => htmx.ajax('GET', area.getAttribute('hx-get'), { source: area, target: area, swap: 'innerHTML' })"


def poll(page: Page, area: Locator) -> None:
    """Have an area renewed now, as its clock would in a while."""
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        area.evaluate(RENEW)


@pytest.mark.parametrize(("path", "area"), REFRESHED)
def test_what_has_the_focus_keeps_it(ada: Visitor, live: str, path: str, area: str) -> None:
    ada.go(f"{steps.ROOM}/{path}")
    renewed = ada.page.locator(area).first
    link = renewed.locator("a[href]").last
    link.focus()
    old = link.element_handle()
    assert old is not None
    poll(ada.page, renewed)
    ada.page.wait_for_function("one => !one.isConnected", arg=old)
    expect(renewed.locator("a[href]").last).to_be_focused()


def test_a_note_that_is_being_written_is_not_lost(ada: Visitor, live: str) -> None:
    ada.go(f"{steps.ROOM}/")
    area = ada.page.locator("#overview")
    area.evaluate("area => area.insertAdjacentHTML('beforeend', '<input id=\"note\" aria-label=\"Note\">')")
    ada.page.get_by_label("Note").fill("I am on it")
    poll(ada.page, area)
    expect(ada.page.get_by_label("Note")).to_have_value("I am on it")


def test_nothing_moves_under_the_pointer(ada: Visitor, live: str) -> None:
    ada.go(f"{steps.ROOM}/releases/")
    area = ada.page.locator("#releases")
    link = area.locator("a[href]").first
    area.evaluate("area => area.insertAdjacentHTML('afterbegin', '<a href=\"#gone\">Soon gone</a>')")
    link.hover()
    poll(ada.page, area)
    expect(ada.page.get_by_text("Soon gone")).to_be_visible()
    ada.page.get_by_role("heading", level=1).hover()
    poll(ada.page, area)
    expect(ada.page.get_by_text("Soon gone")).to_have_count(0)


def test_a_point_of_a_chart_leads_to_its_minute(ada: Visitor, live: str, request_body: dict[str, Any]) -> None:
    ada.go(f"{steps.ROOM}/monitoring/?endpoint=digits")
    chart = ada.page.locator("#chart-requests .nsewdrag").first
    chart.click(position={"x": 200, "y": 80})
    expect(ada.page).to_have_url(re.compile(r"/monitoring/digits/moment/\?from=[\dT:-]+Z&to="))
    expect(ada.page.get_by_role("heading", name="What happened")).to_be_visible()
    ada.go(f"{steps.ROOM}/monitoring/?endpoint=digits")
    ada.page.get_by_role("link", name="What happened in this time").press("Enter")
    expect(ada.page.get_by_role("main")).to_contain_text("went live")
