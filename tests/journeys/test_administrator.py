"""Ada: the first start, people, keys."""

from playwright.sync_api import expect

from tests.journeys import deadlines, steps
from tests.journeys.calls import call, wait_until
from tests.journeys.conftest import Open
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor


def test_new_project_has_environments_and_says_what_comes_first(ada: Visitor) -> None:
    ada.go(steps.ROOM)
    expect(ada.page.get_by_role("link", name="Upload").first).to_be_visible()

    def environments_are_there() -> bool:
        ada.go(f"{steps.ROOM}/environments/")
        return all(ada.page.get_by_text(name, exact=True).count() for name in ("staging", "production"))

    wait_until(environments_are_there, deadlines.PAGE, what="the environments of a new project")


def test_set_up_link_works_once(ada: Visitor, slipway: Stack) -> None:
    assert call(slipway.web + slipway.setup_path).status == 404


def test_invited_member_joins_with_the_role_and_can_sign_in_again(
    ada: Visitor, dana: Visitor, open_browser: Open
) -> None:
    ada.go(f"{steps.ROOM}/members/")
    row = ada.page.get_by_role("row").filter(has_text=dana.email)
    expect(row.get_by_role("combobox")).to_have_value("data_scientist")
    again = open_browser(dana.name)
    again.go("/")
    again.fill({"E-mail address": dana.email, "Password": "not this one"})
    again.press("Sign in")
    expect(again.page.get_by_text("The email address and/or password you specified are not correct.")).to_be_visible()
    again.fill({"Password": dana.password})
    again.press("Sign in")
    expect(again.page).to_have_url(f"{again.web}{steps.ROOM}/")


def test_member_sees_no_page_that_the_role_does_not_allow(dana: Visitor) -> None:
    dana.go(f"{steps.ROOM}/members/")
    rail = dana.page.get_by_role("complementary", name="Main")
    expect(rail.get_by_role("link", name="Members")).to_be_visible()
    expect(rail.get_by_role("link", name="Keys")).to_have_count(0)
    expect(dana.page.get_by_role("button", name="Add member")).to_have_count(0)
    assert dana.go(f"{steps.ROOM}/keys/") == 403


def test_key_is_shown_once_and_refused_at_once_after_its_revocation(ada: Visitor, slipway: Stack) -> None:
    text = steps.make_key(ada, "Web shop", endpoints="digits")
    nowhere = f"{slipway.gateway}/{steps.PROJECT}/nowhere/v2"
    wait_until(lambda: call(nowhere, key=text).status != 401, deadlines.REVOKED, what="the new key to be taken")
    ada.page.get_by_role("link", name="I have copied it").click()
    row = ada.page.get_by_role("row").filter(has_text="Web shop")
    expect(row).to_contain_text("active")
    assert text not in ada.page.content()
    row.get_by_role("link", name="Revoke").click()
    ada.fill({"Name of the key": "Web shp"})
    ada.press("Revoke key")
    expect(ada.page.get_by_text("This is not its name.")).to_be_visible()
    ada.fill({"Name of the key": "Web shop"})
    ada.press("Revoke key")
    expect(row).to_contain_text("revoked")
    wait_until(lambda: call(nowhere, key=text).status == 401, deadlines.REVOKED, what="the revoked key to be refused")
