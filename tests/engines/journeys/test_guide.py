"""“Add a GPU host in five minutes”, followed to the letter: the README's commands make the host, and Ada the target."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.controlplane.running import ROOT
from tests.engines.daemons import Daemon
from tests.engines.journeys.production import Production
from tests.journeys import deadlines, steps
from tests.journeys.calls import call, wait_until
from tests.journeys.visitors import Visitor

FIVE_MINUTES = 300.0
CHAPTER = "## Add a GPU host in five minutes"
ADDRESS = "10.0.0.21"  # the guide's own


def blocks(language: str) -> list[str]:
    """The chapter's code in this language."""
    chapter = (ROOT / "README.md").read_text().partition(CHAPTER)[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", chapter, re.DOTALL)


class Guided(Daemon):
    """An engine that is told where to listen by the guide's daemon.json alone."""

    def _listen(self) -> list[str]:
        return []

    def adapt(self, text: str) -> str:
        """The guide's text for this machine: its address, and its own folders, as it shares /etc with others."""
        places = {
            "/etc/docker/tls": f"{self.folder}/tls",
            "unix:///var/run/docker.sock": self.socket,
            ADDRESS: self.address,
        }
        for told, here in places.items():
            text = text.replace(told, here)
        return text


@pytest.fixture(scope="module")
def begun() -> float:
    return time.monotonic()


@pytest.fixture(scope="module")
def host(slipway: Production, begun: float) -> Iterator[Guided]:
    """Steps 1 and 2. Step 3 was done for all hosts here: they share one /etc/docker/certs.d."""
    namespace, address = slipway.hosts.lan.add()
    folder = Path(tempfile.mkdtemp(prefix="slw-guide-"))
    daemon = Guided("gpu1", namespace, address, folder, slipway.hosts.lan)
    try:
        (certificates,) = blocks("sh")
        subprocess.run(["bash", "-euc", daemon.adapt(certificates)], check=True, capture_output=True)
        (settings,) = blocks("json")
        (folder / "daemon.json").write_text(daemon.adapt(settings))
        daemon.start()
        yield daemon
    finally:
        daemon.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def target(ada: Visitor, host: Guided) -> str:
    """Step 4, in the guide's words; the target's name."""
    pasted = {
        "Authority's certificate": "ca.pem",
        "Client certificate": "slipway.pem",
        "Client key": "slipway-key.pem",
    }
    ada.go(f"{steps.ROOM}/")
    ada.page.get_by_role("link", name="Targets", exact=True).click()
    ada.page.get_by_role("link", name="Add a target").click()
    ada.page.get_by_role("link", name="Docker hosts").click()
    ada.page.get_by_label("Name", exact=True).fill("guided")
    ada.page.get_by_label("Hosts", exact=True).fill(f"tcp://{host.address}:2376")
    for label, file in pasted.items():
        ada.page.get_by_label(label, exact=True).fill((host.folder / "tls" / file).read_text())
    ada.press("Check")
    found = ada.page.locator("#found")
    expect(found).to_contain_text("answers in", timeout=deadlines.LIVE * 1000)
    expect(found).to_contain_text("GiB of memory")
    expect(found.locator(".tone-bad")).to_have_count(0)
    ada.press("Save")
    expect(ada.page.get_by_role("heading", level=1)).to_contain_text("guided reachable")
    return "guided"


def test_the_check_is_green_within_five_minutes(target: str, begun: float) -> None:
    seconds = time.monotonic() - begun
    print(f"\nthe guide, from its first command to a green check: {seconds:.1f} s")
    assert seconds < FIVE_MINUTES


def test_the_certificates_stand_the_strict_look_of_newer_pythons(host: Guided) -> None:
    """As Python 3.13 and later take it: an authority says in so many words that it signs."""
    strictly = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem"]
    for purpose, file in {"sslserver": "server.pem", "sslclient": "slipway.pem"}.items():
        subprocess.run([*strictly, "-purpose", purpose, file], cwd=host.folder / "tls", check=True)


def test_a_model_answers_there(
    slipway: Production,
    host: Guided,
    target: str,
    ada: Visitor,
    dana: Visitor,
    rhea: Visitor,
    regression: str,
    invoke_key: str,
    request_body: dict[str, Any],
) -> None:
    ada.go(f"{steps.ROOM}/environments/")
    ada.page.locator(".card", has_text="staging").get_by_role("link", name="Change").click()
    ada.page.get_by_label("Target", exact=True).select_option(label=target)
    ada.press("Save")
    dana.go(f"{steps.ROOM}/new-endpoint/")
    dana.page.get_by_label("Name", exact=True).fill("on-guided")
    dana.page.get_by_label("Environment").select_option(label="staging")
    dana.press("Save")
    release = steps.propose(dana, "digits v1", "on-guided", "On the new host.")
    steps.approve(rhea, release, "Fine there.")
    url = f"{slipway.gateway}/{steps.PROJECT}/on-guided/v2/models/digits/infer"
    wait_until(
        lambda: call(url, key=invoke_key, body=request_body).status == 200, deadlines.LIVE, what="an answer from there"
    )
    assert host.client.containers.list(filters={"label": "slipway.deployment"}, ignore_removed=True)
    ada.go(f"{steps.ROOM}/endpoints/on-guided/")
    ada.press("Stop")
    expect(ada.page.get_by_role("heading", level=1)).to_contain_text("stopped", timeout=deadlines.LIVE * 1000)
