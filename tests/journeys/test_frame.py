"""What every page shares: language, theme, the width of a phone, and no trouble anywhere."""

import re

from playwright.sync_api import expect

from tests.journeys import steps
from tests.journeys.visitors import Visitor

PAGES = [
    "/", "/projects/", "/projects/new/", "/profile/", "/help/", "/api/docs/", "/accounts/sessions/",
    "/accounts/password/change/", "/accounts/2fa/",
    *[f"{steps.ROOM}/{page}" for page in (
        "", "models/", "models/digits/", "models/digits/edit/", "models/digits/1/", "models/digits/1/card/",
        "compare/", "compare/?version=digits/1", "exceptions/",
        *[f"models/digits/1/tab/{tab}/" for tab in ("signature", "profile", "card", "files", "lineage", "history")],
        "upload/", "releases/", "releases/new/", "releases/1/", "endpoints/", "new-endpoint/", "endpoints/digits/",
        *[f"endpoints/digits/tab/{tab}/" for tab in ("try", "code", "logs", "history", "settings")],
        "endpoints/digits/edit/", "deployments/1/", "targets/", "targets/new/", "targets/this-machine/", "monitoring/",
        "alerts/", "alerts/rules/", "alerts/rules/new/", "alerts/channels/", "alerts/channels/new/", "audit/",
        "members/", "keys/", "keys/new/", "environments/", "environments/new/", "environments/production/", "settings/",
    )],
]  # fmt: skip


def test_every_page_opens_without_trouble_and_fits_a_phone(ada: Visitor, live: str, tree: str) -> None:
    ada.page.set_viewport_size({"width": 390, "height": 844})
    wide = []
    for path in PAGES:
        assert ada.go(path) == 200, path
        expect(ada.page.locator(".htmx-request")).to_have_count(0)  # what the page asks for after it has come
        if ada.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)
    ada.page.set_viewport_size({"width": 1440, "height": 900})
    assert wide == []


def test_page_that_is_not_there_says_what_to_do(ada: Visitor) -> None:
    assert ada.go(f"{steps.ROOM}/models/nothing/") == 404
    expect(ada.page.get_by_role("link", name="To the start")).to_be_visible()
    assert ada.go("/nowhere/") == 404


def test_language_is_switched_and_stays(dana: Visitor) -> None:
    dana.go(f"{steps.ROOM}/models/")
    choose_language(dana, "简体中文")
    expect(dana.page.locator("html")).to_have_attribute("lang", "zh-hans")
    dana.go(f"{steps.ROOM}/releases/")
    expect(dana.page.locator("html")).to_have_attribute("lang", "zh-hans")
    choose_language(dana, "English")
    expect(dana.page.locator("html")).to_have_attribute("lang", "en")


def choose_language(person: Visitor, name: str) -> None:
    person.page.locator(".rail-tools button").first.click()
    person.page.get_by_role("button", name=name).click()


def test_dark_theme_stays(dana: Visitor) -> None:
    dana.go(f"{steps.ROOM}/models/")
    dana.page.get_by_role("button", name="Theme").click()
    with dana.page.expect_response("**/profile/choose/"):
        dana.press("Dark")
    expect(dana.page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    dana.go(f"{steps.ROOM}/releases/")
    expect(dana.page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(dana.page.locator("body")).not_to_have_css(
        "background-color", re.compile(r"rgb\(2[45]\d, 2[45]\d, 2[45]\d\)")
    )


def test_search_finds_a_model_by_keyboard(dana: Visitor, regression: str) -> None:
    dana.go(steps.ROOM)
    dana.page.keyboard.press("/")
    dana.page.keyboard.type("digits")
    expect(dana.page.get_by_role("option").first).to_be_visible()
    dana.page.keyboard.press("Enter")
    expect(dana.page).to_have_url(re.compile(r"/digits/"))
