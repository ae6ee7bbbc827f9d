"""The story that the journeys share, told once: each fixture is a chapter that real people made in real browsers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.engines import require
from tests.fault_proxy import FaultProxy, before_port
from tests.journeys import deadlines, stack, steps
from tests.journeys.model_files import write_files
from tests.journeys.stack import Stack
from tests.journeys.visitors import OPTIONS, Visitor

Open = Callable[[str], Visitor]
CUT_OFF = ("net::ERR_", "Failed to load resource")  # what the console says of a line that was cut


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys share one stack, so they run in one process (with ``--dist loadgroup``)."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("journeys"))
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Ends with the last journey: while Playwright lives, its event loop keeps Django from the database."""
    program = require("chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=deadlines.PAGE * 1000)
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack.start(tmp_path_factory.mktemp("journeys") / "home") as running:
        yield running


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_files(folder)
    return folder


@pytest.fixture(scope="package")
def visitors() -> list[Visitor]:
    return []


@pytest.fixture(scope="package")
def open_browser(chromium: Browser, slipway: Stack, visitors: list[Visitor]) -> Open:
    """A new browser session for the person of this name."""

    def open_one(name: str) -> Visitor:
        visitors.append(Visitor(chromium, slipway.web, name, f"{name.split()[0].lower()}@example.com"))
        return visitors[-1]

    return open_one


@pytest.fixture(autouse=True)
def no_troubles(visitors: list[Visitor]) -> Iterator[None]:
    """No page may cause an error, a policy violation or a request to another host, whatever the journey is about."""
    yield
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    for visitor in visitors:
        visitor.troubles.clear()
    assert troubles == []


@pytest.fixture(scope="package")
def ada(open_browser: Open, slipway: Stack) -> Visitor:
    """The first administrator, with the first project."""
    person = open_browser("Ada Lindqvist")
    steps.set_up(person, slipway.setup_path)
    return person


@pytest.fixture(scope="package")
def dana(open_browser: Open, ada: Visitor) -> Visitor:
    return join(open_browser("Dana Whitfield"), ada, "Data scientist")


@pytest.fixture(scope="package")
def rhea(open_browser: Open, ada: Visitor) -> Visitor:
    return join(open_browser("Rhea Okafor"), ada, "Reviewer")


@pytest.fixture(scope="package")
def omar(open_browser: Open, ada: Visitor) -> Visitor:
    return join(open_browser("Omar Haddad"), ada, "Operator")


def join(guest: Visitor, ada: Visitor, role: str) -> Visitor:
    steps.invite(ada, guest, role)
    return guest


@pytest.fixture(scope="package")
def regression(dana: Visitor, files: Path) -> str:
    """``digits`` version 1, examined and ready; the path of its page."""
    path = steps.upload(dana, files / "digits.joblib", files / "README.md", model="digits", description="The baseline")
    steps.expect_examined(dana, "ready")
    return path


@pytest.fixture(scope="package")
def tree(dana: Visitor, regression: str, files: Path) -> str:
    """``digits`` version 2, ready."""
    path = steps.upload(dana, files / "digits-tree.pkl", model="digits", description="A tree instead")
    steps.expect_examined(dana, "ready")
    return path


@pytest.fixture(scope="package")
def endpoint(dana: Visitor) -> str:
    """Dana makes the endpoint ``digits`` in production; the path of its page."""
    dana.go(f"{steps.ROOM}/new-endpoint/")
    dana.page.get_by_label("Name", exact=True).fill("digits")
    dana.page.get_by_label("Environment").select_option(label="production")
    dana.press("Save")
    return f"{steps.ROOM}/endpoints/digits/"


@pytest.fixture(scope="package")
def proposal(dana: Visitor, regression: str, endpoint: str) -> str:
    """The release of version 1 that waits for a review; the path of its page."""
    return steps.propose(dana, "digits v1", "digits", "Our baseline. Simple and fast.")


@pytest.fixture(scope="package")
def live(rhea: Visitor, proposal: str, endpoint: str) -> str:
    """The endpoint serves version 1; the path of its page."""
    steps.approve(rhea, proposal, "Fine as a baseline.")
    return endpoint


@pytest.fixture(scope="package")
def invoke_key(ada: Visitor) -> str:
    """A key that may call every endpoint of the project."""
    return steps.make_key(ada, "Journeys", endpoints="*")


@pytest.fixture(scope="package")
def request_body(files: Path) -> dict[str, Any]:
    """Two digits to read."""
    rows = json.loads((files / "digits.json").read_text())["rows"][:2]
    return {"inputs": [{"name": "input", "datatype": "FP32", "shape": [2, 64], "data": rows}]}


@pytest.fixture
def proxy(slipway: Stack) -> Iterator[FaultProxy]:
    with before_port(urlsplit(slipway.web).port or 80) as running:
        yield running


@pytest.fixture
def far_dana(chromium: Browser, dana: Visitor, proxy: FaultProxy, visitors: list[Visitor]) -> Iterator[Visitor]:
    """Dana once more, behind the bad line; what the browser says about its cuts is no trouble.

    Pages that others have open would miss the server too while it is away: they are left.
    """
    for visitor in visitors:
        if not visitor.page.is_closed():
            visitor.page.goto("about:blank")
    far = Visitor(chromium, proxy.url, dana.name, dana.email)
    far.context.add_cookies(dana.context.cookies())  # type: ignore[arg-type]
    visitors.append(far)
    yield far
    far.context.close()
    far.troubles[:] = [trouble for trouble in far.troubles if not any(said in trouble for said in CUT_OFF)]
