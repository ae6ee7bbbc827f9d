"""What people do at their browsers in more than one journey."""

from pathlib import Path

from playwright.sync_api import expect

from tests.journeys import deadlines
from tests.journeys.visitors import Visitor

PROJECT = "harbour"
ROOM = f"/p/{PROJECT}"


def set_up(ada: Visitor, setup_path: str) -> None:
    """From the set-up link over the administrator's account to the first project."""
    ada.go(setup_path)
    ada.fill({"Your name": ada.name, "E-mail address": ada.email, "Password": ada.password})
    ada.press("Continue")
    expect(ada.page.get_by_role("heading", name="Your first project")).to_be_visible()
    ada.page.get_by_label("Name").fill("Harbour")
    expect(ada.page.get_by_label("Address")).to_have_value(PROJECT)
    ada.press("Create project")
    expect(ada.page.get_by_role("heading", name="Harbour", level=1)).to_be_visible()


def invite(ada: Visitor, guest: Visitor, role: str) -> None:
    """Ada makes the invitation; the guest opens the link and makes an account."""
    ada.go(f"{ROOM}/members/")
    ada.press("Add member")
    ada.page.get_by_role("dialog").get_by_label("E-mail address").fill(guest.email)
    ada.page.get_by_role("dialog").get_by_label("Role").select_option(label=role)
    ada.press("Add")
    guest.go(ada.read(ada.page.get_by_role("status").locator("code")))
    guest.fill({"Your name": guest.name, "Password": guest.password})
    guest.press("Make my account")
    expect(guest.page).to_have_url(f"{guest.web}{ROOM}/")


def make_key(ada: Visitor, name: str, *, endpoints: str = "", scopes: tuple[str, ...] = ()) -> str:
    """A new key's text, from the one page that shows it."""
    ada.go(f"{ROOM}/keys/new/")
    ada.page.get_by_label("Name", exact=True).fill(name)
    ada.page.get_by_label("Endpoints it may call").fill(endpoints)
    for scope in scopes:
        ada.page.get_by_label(scope).check()
    ada.press("Make key")
    return ada.read(ada.page.locator("#key-text"))


def upload(dana: Visitor, *files: Path, model: str, description: str = "") -> str:
    """Drop the files, create the version; the path of its page, where the checks are ticking."""
    dana.go(f"{ROOM}/upload/")
    dana.drop(*files)
    expect(dana.page.locator("[data-state=done]")).to_have_count(len(files))
    dana.page.get_by_label("Model", exact=True).fill(model)
    dana.page.get_by_label("What is new in this version?").fill(description)
    dana.press("Create version")
    expect(dana.page.locator("#version-state")).to_be_visible()
    return dana.path


def expect_examined(dana: Visitor, state: str) -> None:
    expect(dana.page.locator("#version-state")).to_have_text(state, timeout=deadlines.EXAMINED * 1000)


def propose(person: Visitor, version: str, endpoint: str, note: str) -> str:
    """Propose a version (``model v1``) for an endpoint; the path of the release."""
    person.go(f"{ROOM}/releases/new/")
    for label, text in (("Version", f"{version} ·"), ("Endpoint", f"{endpoint} ·")):
        choice = person.page.get_by_label(label, exact=True)
        choice.select_option(choice.locator("option", has_text=text).get_attribute("value"))
    person.page.get_by_label("Note to the reviewers").fill(note)
    person.press("Propose")
    expect(person.page.get_by_role("heading", level=1)).to_contain_text("in review")
    return person.path


def approve(rhea: Visitor, release: str, comment: str) -> None:
    """Approve on the review sheet, and stay until the release has the traffic."""
    rhea.go(release)
    rhea.page.get_by_label("Comment").fill(comment)
    rhea.press("Approve")
    expect(rhea.page.get_by_role("heading", level=1)).to_contain_text("approved")
    expect_live(rhea)


def expect_live(person: Visitor) -> None:
    """The release page's timeline comes to the end by itself."""
    deployment = person.page.locator("#progress .card-actions").first  # of its card; one of the image may follow
    expect(deployment).to_contain_text("running", timeout=deadlines.LIVE * 1000)
