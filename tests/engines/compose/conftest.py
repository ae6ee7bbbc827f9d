"""One stack for the whole session, and the people who use it in their browsers."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.engines import require
from tests.engines.compose.stack import GATEWAY, WEB, Stack, open_stack
from tests.journeys import deadlines
from tests.journeys.visitors import OPTIONS, Visitor

Open = Callable[[str], Visitor]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("compose")) as built:
        yield built
        print("".join(f"\n  {name}: {figure:.1f}" for name, figure in built.figures.items()))


@pytest.fixture(scope="package")
def running(stack: Stack) -> Stack:
    """The stack after its first start."""
    stack.figures["seconds from nothing to answering"] = stack.up()
    return stack


@pytest.fixture(scope="package")
def chromium(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """On a machine of its own. It finds the two names at the front, and takes the certificates as they are: calls check
    them.

    On this machine it would break off what it asks over HTTP/2 as soon as the machine gets one more address
    (ERR_NETWORK_CHANGED), and other tests give it some.
    """
    machine, _address = running.hosts.lan.add()
    program = tmp_path_factory.mktemp("browser") / "chromium"
    program.write_text(f'#!/bin/sh\nexec nsenter --net=/var/run/netns/{machine} {require("chromium")} "$@"\n')
    program.chmod(0o755)
    names = ",".join(f"MAP {name} {running.host.address}" for name in (WEB, GATEWAY))
    options = [*OPTIONS, f"--host-resolver-rules={names}", "--ignore-certificate-errors"]
    with sync_playwright() as playwright:
        expect.set_options(timeout=deadlines.PAGE * 1000)
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def open_browser(chromium: Browser) -> Open:
    def open_one(name: str) -> Visitor:
        return Visitor(chromium, f"https://{WEB}", name, f"{name.split()[0].lower()}@example.com")

    return open_one
