"""Omar: traffic and charts, scaling, healing, deploying and rolling back, alerts, stopping."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journeys import deadlines, steps
from tests.journeys.calls import call, steady_traffic, wait_until
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor

KNOWN_AFTER = 20  # calls, at least a tenth of a second apart: gateways look for new replicas each second


@pytest.fixture(scope="module")
def traffic(slipway: Stack, live: str, invoke_key: str, request_body: dict[str, Any]) -> Iterator[list[int]]:
    """Somebody calls the endpoint during the whole of Omar's day; the statuses that they got."""
    url = f"{slipway.gateway}/{steps.PROJECT}/digits/v2/models/digits/infer"
    wait_until(lambda: call(url, key=invoke_key, body=request_body).status == 200, deadlines.PAGE, what="an answer")
    with steady_traffic(url, invoke_key, request_body) as statuses:
        yield statuses


def test_endpoint_page_draws_the_traffic(omar: Visitor, live: str, traffic: list[int]) -> None:
    omar.go(live)
    expect(omar.page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(omar.page.get_by_role("row").filter(has_text="running")).to_have_count(1)
    drawn = omar.page.locator(".js-plotly-plot .scatterlayer .trace path.js-line[d]")
    expect(drawn.first).to_be_attached(timeout=deadlines.MEASURED * 1000)


def test_form_made_of_the_signature_answers(omar: Visitor, live: str) -> None:
    omar.go(f"{live}tab/try/")
    omar.page.get_by_role("button", name="Send").first.click()
    answer = omar.page.locator("#answer")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text("probabilities")
    omar.page.get_by_label("input FP32").fill("[1, 2")
    omar.page.get_by_role("button", name="Send").first.click()
    expect(omar.page.get_by_role("alert")).to_be_visible()


def test_scaled_to_two_and_a_killed_replica_is_back_and_no_call_fails(
    omar: Visitor, live: str, slipway: Stack, traffic: list[int]
) -> None:
    omar.go(live)
    omar.page.get_by_label("Replicas").fill("2")
    omar.press("Scale")
    running = omar.page.get_by_role("row").filter(has_text="running")
    expect(running).to_have_count(2, timeout=deadlines.LIVE * 1000)
    name, pid = sorted(slipway.find_replicas().items())[0]
    traffic.clear()
    wait_until(lambda: len(traffic) > KNOWN_AFTER, deadlines.PAGE, what="the gateway to know both")
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: len(alive := slipway.find_replicas()) == 2 and pid not in alive.values(),
        deadlines.HEALED,
        what=f"{name} to be back",
    )
    expect(running).to_have_count(2, timeout=deadlines.HEALED * 1000)
    assert set(traffic) == {200}


def test_new_version_takes_over_and_the_old_one_comes_back_by_roll_back(
    omar: Visitor, dana: Visitor, rhea: Visitor, live: str, tree: str, traffic: list[int]
) -> None:
    traffic.clear()
    steps.approve(rhea, steps.propose(dana, "digits v2", "digits", "Compared: it is smaller."), "Good.")
    omar.go(live)
    expect(omar.page.get_by_role("main")).to_contain_text("100 % · digits v2")
    omar.press("Roll back")
    expect(omar.page.get_by_role("main")).to_contain_text("100 % · digits v1", timeout=deadlines.LIVE * 1000)
    omar.go(f"{live}tab/history/")
    expect(omar.page.get_by_role("row").filter(has_text="rollback")).to_have_count(1)
    assert set(traffic) == {200}


def test_rule_fires_and_he_acknowledges_the_alert(omar: Visitor, live: str, traffic: list[int]) -> None:
    omar.go(f"{steps.ROOM}/alerts/rules/new/")
    for label, choice in (("Metric", "requests per second"), ("Window", "1 minute"), ("Duration", "even for a moment")):
        field = omar.page.get_by_label(label)
        field.select_option(field.locator("option", has_text=choice).first.get_attribute("value"))
    omar.page.get_by_label("Threshold").fill("0")
    omar.page.get_by_label("Name").fill("Somebody calls")
    omar.press("Watch")

    def fires() -> bool:
        omar.go(f"{steps.ROOM}/alerts/")
        return bool(omar.page.get_by_role("button", name="Acknowledge").count())

    wait_until(fires, deadlines.FIRED, what="the alert to fire")
    omar.page.get_by_label("Note").fill("I know: it is a test.")
    omar.press("Acknowledge")
    alert = omar.page.get_by_role("article").filter(has_text="Somebody calls")
    expect(alert).to_contain_text("acknowledged")
    expect(alert).to_contain_text("I know: it is a test.")


def test_stopped_endpoint_answers_nobody_and_says_so(
    omar: Visitor, live: str, slipway: Stack, invoke_key: str, request_body: dict[str, Any]
) -> None:
    omar.go(live)
    omar.press("Stop")
    expect(omar.page.get_by_role("heading", level=1)).to_contain_text("stopped", timeout=deadlines.LIVE * 1000)
    wait_until(lambda: not slipway.find_replicas(), deadlines.HEALED, what="the replicas to end")
    url = f"{slipway.gateway}/{steps.PROJECT}/digits/v2/models/digits/infer"
    answer = call(url, key=invoke_key, body=request_body)
    assert answer.status == 503
    assert "no replica" in answer.json["error"]
    omar.press("Start")
    expect(omar.page.get_by_role("row").filter(has_text="running").first).to_be_visible(timeout=deadlines.LIVE * 1000)
