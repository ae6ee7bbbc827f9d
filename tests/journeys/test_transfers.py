"""Dana steers uploads while they are on their way: she pauses, goes on, removes, sends two at once, closes the lid."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.controlplane.running import wait_until
from tests.fault_proxy import FaultProxy
from tests.journeys import deadlines, steps
from tests.journeys.stack import Stack
from tests.journeys.test_big_upload import wait_for_bytes
from tests.journeys.visitors import Visitor

MEGABYTE = 1 << 20
SIZE = 48 * MEGABYTE
IN_BUFFERS = 8 * MEGABYTE  # of the machine: what it has taken from the browser it still sends


@pytest.fixture
def slow(proxy: FaultProxy) -> FaultProxy:
    """A line on which a file takes long enough to do something with it."""
    proxy.rate = 12 * MEGABYTE
    return proxy


def write(path: Path, size: int = SIZE) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def line_of(dana: Visitor, name: str) -> Locator:
    return dana.page.locator("[data-files] li", has_text=name)


def press(line: Locator, name: str) -> None:
    line.get_by_role("button", name=name, exact=True).click()


def expect_done(line: Locator) -> None:
    expect(line).to_have_attribute("data-state", "done", timeout=deadlines.EXAMINED * 1000)


def test_a_paused_upload_sends_nothing_and_goes_on_where_it_was(
    far_dana: Visitor, slow: FaultProxy, tmp_path: Path
) -> None:
    far_dana.go(f"{steps.ROOM}/upload/")
    line = line_of(far_dana, "tides.bin")
    begun = slow.sent_up
    far_dana.page.set_input_files("#upload-files", write(tmp_path / "tides.bin"))
    wait_for_bytes(slow, begun + SIZE // 4, far_dana)
    press(line, "Pause")
    expect(line).to_have_attribute("data-state", "paused")

    paused, bar = slow.sent_up, line.locator("progress").evaluate("bar => bar.value")
    far_dana.page.set_input_files("#upload-files", write(tmp_path / "notes.bin", 2 * MEGABYTE))
    expect_done(line_of(far_dana, "notes.bin"))
    expect(line).to_have_attribute("data-state", "paused")
    assert line.locator("progress").evaluate("bar => bar.value") == bar < SIZE
    assert slow.sent_up - paused < 3 * MEGABYTE + IN_BUFFERS

    press(line, "Go on")
    expect_done(line)
    assert slow.sent_up - begun < SIZE + 3 * MEGABYTE + 2 * IN_BUFFERS


def test_an_upload_that_is_removed_on_its_way_leaves_nothing(
    far_dana: Visitor, slow: FaultProxy, slipway: Stack, tmp_path: Path
) -> None:
    far_dana.go(f"{steps.ROOM}/upload/")
    begun = slow.sent_up
    far_dana.page.set_input_files("#upload-files", write(tmp_path / "ebb.bin"))
    wait_for_bytes(slow, begun + SIZE // 4, far_dana)
    assert list((slipway.home / "uploads").iterdir())
    press(line_of(far_dana, "ebb.bin"), "Remove")
    expect(far_dana.page.locator("[data-files] li")).to_have_count(0)
    wait_until(lambda: not list((slipway.home / "uploads").iterdir()), deadlines.PAGE, what="its bytes to be gone")
    far_dana.page.reload()
    expect(far_dana.page.locator("[data-unfinished] li")).to_have_count(0)
    assert slow.sent_up - begun < SIZE // 2 + IN_BUFFERS


def test_two_uploads_are_on_their_way_at_once_and_a_third_one_waits(
    far_dana: Visitor, slow: FaultProxy, tmp_path: Path
) -> None:
    far_dana.go(f"{steps.ROOM}/upload/")
    paths = [write(tmp_path / name) for name in ("north.bin", "south.bin", "east.bin")]
    far_dana.page.set_input_files("#upload-files", paths)
    bars = far_dana.page.locator("[data-files] progress")

    def are_two_halfway() -> bool:
        far_dana.page.wait_for_timeout(20)
        return bars.evaluate_all("bars => bars.filter(bar => bar.value > 0 && bar.value < bar.max).length") == 2

    wait_until(are_two_halfway, deadlines.PAGE, what="two files between nothing and all")
    expect(far_dana.page.locator("[data-files] [data-state=waiting]")).to_have_count(1)
    for path in paths:
        expect_done(line_of(far_dana, path.name))


def test_a_line_that_fell_silent_is_given_up_and_another_one_taken(
    far_dana: Visitor, slow: FaultProxy, tmp_path: Path
) -> None:
    """The lid is closed for a while: nobody says goodbye, and nothing is ever answered on the old line."""
    far_dana.page.route(re.compile(r"/transfer[^/]*\.js"), be_impatient)
    far_dana.go(f"{steps.ROOM}/upload/")
    begun = slow.sent_up
    slow.silent_at = [begun + SIZE // 4]
    far_dana.page.set_input_files("#upload-files", write(tmp_path / "lid.bin"))
    line = line_of(far_dana, "lid.bin")
    expect(line).to_contain_text("waiting for the network, goes on by itself")
    assert slow.silent
    expect_done(line)
    assert (slow.cuts, slow.silent_at) == (0, [])
    assert slow.sent_up - begun < SIZE + 2 * IN_BUFFERS


def be_impatient(route: Route) -> None:
    """The page's own script, which waits two seconds where it waits 45, and a second before it tries again."""
    answer = route.fetch()
    script, silences = re.subn(r"SILENCE_SECONDS = 45\b", "SILENCE_SECONDS = 2", answer.text())
    script, pauses = re.subn(r"BACKOFF_SECONDS = \[.*?\]", "BACKOFF_SECONDS = [1]", script)
    assert (silences, pauses) == (1, 1)
    route.fulfill(response=answer, body=script)
