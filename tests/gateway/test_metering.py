"""The books: every call once, in windows that are safe to collect twice."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from apps.core import histograms, keys
from apps.gateway.metering import Books, Tally, encode_window
from apps.gateway.tables import Replica, Route
from tests.gateway.conftest import TOKEN, Gateway
from tests.gateway.replicas import Asked, Stage, compose


def add_up(windows: list[dict[str, Any]]) -> dict[str, Any]:
    """Windows as one: counts, errors, bytes, the number of latencies."""
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for window in windows:
        counts.update(window["counts"])
        errors.update(window["errors"])
    blob = histograms.merge(window["histogram"] for window in windows)
    return {
        "counts": dict(counts),
        "errors": dict(errors),
        "bytes_in": sum(window["bytes_in"] for window in windows),
        "bytes_out": sum(window["bytes_out"] for window in windows),
        "latencies": histograms.total_count(blob),
        "blob": blob,
    }


async def answer_as_told(asked: Asked, reader: Any, writer: Any) -> None:
    writer.write(compose(int(asked.body), b'{"a": 1}'))


def test_every_call_is_in_the_books_exactly_once(gateway: Gateway, stage: Stage) -> None:
    key, limited = gateway.make_key(), gateway.make_key(rate_per_minute=60)
    endpoint = gateway.make_endpoint(stage.add(answer_as_told).as_replica(), max_body=100)
    gateway.publish()

    for status, times in ((200, 40), (404, 7), (500, 3), (429, 2)):
        for _ in range(times):
            assert gateway.infer(endpoint, key, str(status).encode()).status == status
    refused = [gateway.infer(endpoint, limited, b"200").status for _ in range(8)].count(429)
    assert gateway.infer(endpoint, key, bytes(101)).status == 413
    accepted = 40 + 8 - refused

    windows = gateway.windows_of(endpoint, calls=61)
    own = add_up([window for window in windows if window["deployment"] == ""])
    booked = add_up([window for window in windows if window["deployment"] == f"deployment-of-{endpoint}"])
    assert booked["counts"] == {"2xx": accepted, "4xx": 7, "5xx": 3, "429": 2}
    assert booked["errors"] == {"answered_5xx": 3}
    assert booked["latencies"] == accepted + 12
    assert (booked["bytes_in"], booked["bytes_out"]) == ((accepted + 12) * 3, (accepted + 12) * 8)
    assert own["counts"] == {"429": refused, "4xx": 1}
    assert own["errors"] == {"rate_limited": refused, "body_too_large": 1}
    assert all(window["in_flight_max"] == 1 for window in windows if window["deployment"])
    assert all(0 < micros < 5_000_000 for micros in histograms.percentiles(booked["blob"]).values())


def test_what_a_second_attempt_saved_is_still_noted_against_the_first(gateway: Gateway, stage: Stage) -> None:
    routes = (
        Route("good", "1", 1, (stage.add().as_replica(),)),
        Route("bad", "2", 99, (Replica("nobody", "127.0.0.1", 1, ""),)),
    )
    key, endpoint = gateway.make_key(), gateway.make_endpoint(routes=routes)
    gateway.publish()

    assert {gateway.infer(endpoint, key).status for _ in range(20)} == {200}

    windows = gateway.windows_of(endpoint, calls=20)
    by_deployment = {name: add_up([w for w in windows if w["deployment"] == name]) for name in ("good", "bad")}
    assert by_deployment["good"]["counts"] == {"2xx": 20}
    assert by_deployment["bad"]["counts"] == {}
    assert by_deployment["bad"]["errors"]["connect"] >= 10


def test_windows_stay_until_they_are_acknowledged(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    gateway.infer(endpoint, key)
    first = gateway.windows_of(endpoint, calls=1)

    again = gateway.windows()
    assert first[0] in again
    assert [window["seq"] for window in again] == sorted({window["seq"] for window in again})
    last = again[-1]["seq"]
    assert all(window["seq"] > last for window in gateway.windows(after=last))
    assert all(window["seq"] > last for window in gateway.windows())


def test_windows_are_for_the_house_alone(gateway: Gateway) -> None:
    for token in ("", "wrong"):
        assert gateway.get("/-/windows?after=0", X_Slipway_Token=token).status == 404
    for query in ("after=x", "after=-1", f"after={'9' * 30}"):
        assert gateway.get(f"/-/windows?{query}", X_Slipway_Token="token-of-the-tests").status == 400


def test_metrics_tell_prometheus_the_same(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    for _ in range(9):
        gateway.infer(endpoint, key)

    metrics = gateway.metrics()
    labels = f'deployment="deployment-of-{endpoint}",endpoint="{endpoint}"'
    assert metrics[f'slipway_gateway_requests_total{{class="2xx",{labels},project="demo"}}'] == 9
    assert metrics[f'slipway_gateway_request_duration_seconds_count{{{labels},project="demo"}}'] == 9
    assert metrics[f'slipway_gateway_in_flight{{{labels},project="demo"}}'] == 0
    assert metrics["slipway_gateway_snapshot_age_seconds"] < 5


# --- without a process ----------------------------------------------------------------------------------------------


class Clock:
    now = 1_000_003.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    return Books("g", seconds=10, keep_seconds=900, clock=clock)


def close(books: Books) -> None:
    books.keep([encode_window(window) for window in books.close_windows()])


def test_windows_end_on_round_times_and_the_first_begins_with_the_process(books: Books, clock: Clock) -> None:
    meter = books.meter("p", "e", "1")
    assert books.seconds_left() == 7.0
    for end in (1_000_010.0, 1_000_020.0):
        clock.now = end
        meter.count(200, 0.001, 1, 1)
        close(books)

    assert [window["start"] for window in books.collect(0)["windows"]] == [1_000_003.0, 1_000_010.0]


def test_what_nobody_collects_is_dropped_after_a_quarter_of_an_hour(books: Books, clock: Clock) -> None:
    meter = books.meter("p", "e", "1")
    for _ in range(100):
        clock.now += 10
        meter.count(200, 0.001, 1, 1)
        close(books)

    windows = books.collect(0)["windows"]
    assert len(windows) == 90
    assert windows[0]["start"] >= clock.now - 900


def test_a_quiet_deployment_makes_no_windows_and_a_busy_one_does_while_its_call_lasts(books: Books) -> None:
    books.meter("p", "e", "quiet")
    busy = books.meter("p", "e", "busy")
    busy.begin()
    close(books)
    close(books)

    windows = books.collect(0)["windows"]
    assert [(window["deployment"], window["in_flight_max"]) for window in windows] == [("busy", 1), ("busy", 1)]
    busy.end()
    close(books)
    close(books)
    assert len(books.collect(0)["windows"]) == 3


def test_a_large_backlog_is_given_out_in_parts(books: Books) -> None:
    for number in range(600):
        books.meter("p", "e", str(number)).count(200, 0.001, 1, 1)
    close(books)

    first = books.collect(0)
    second = books.collect(first["windows"][-1]["seq"])
    assert (len(first["windows"]), first["more"]) == (500, True)
    assert (len(second["windows"]), second["more"]) == (100, False)


def test_the_next_process_goes_on_with_what_is_left_and_with_higher_numbers(
    books: Books, clock: Clock, tmp_path: Path
) -> None:
    books.meter("p", "e", "1").count(200, 0.5, 1, 1)
    close(books)
    books.save(tmp_path / "windows.json")
    left = books.collect(0)["windows"]

    clock.now += 1
    following = Books("g", seconds=10, keep_seconds=900, clock=clock)
    following.load(tmp_path / "windows.json")
    following.meter("p", "e", "1").count(200, 0.5, 1, 1)
    close(following)

    windows = following.collect(0)["windows"]
    assert windows[0] == left[0]
    assert windows[1]["seq"] > windows[0]["seq"]
    assert not (tmp_path / "windows.json").exists()


def test_damaged_leftovers_do_not_keep_the_gateway_from_starting(books: Books, tmp_path: Path) -> None:
    (tmp_path / "windows.json").write_text('[{"seq": ')
    books.load(tmp_path / "windows.json")
    books.load(tmp_path / "missing.json")

    assert books.collect(0)["windows"] == []


def test_meters_of_deployments_that_are_gone_are_forgotten_once_they_are_told(books: Books) -> None:
    gone, live = books.meter("p", "e", "gone"), books.meter("p", "e", "live")
    gone.count(200, 0.1, 1, 1)
    books.forget_meters({("p", "e", "live")})
    assert gone in books.meters
    close(books)
    books.forget_meters({("p", "e", "live")})
    assert list(books.meters) == [live]


def test_tallies_add_up() -> None:
    first, second = Tally(), Tally(in_flight=3)
    first.counts, second.counts = {"2xx": 1}, {"2xx": 2, "5xx": 1}
    first.add(second)

    assert (first.counts, first.in_flight_max) == ({"2xx": 3, "5xx": 1}, 3)


def test_a_window_is_plain_json(books: Books) -> None:
    books.meter("p", "e", "1").count(200, 0.25, 10, 20)
    window = encode_window(books.close_windows()[0])

    assert json.loads(json.dumps(window)) == window
    assert histograms.percentiles(window["histogram"], [50])[50] == pytest.approx(250_000, rel=0.01)
    assert window["seq"] <= time.time() * 1000


def test_the_house_learns_which_keys_were_used_and_when(gateway: Gateway, stage: Stage) -> None:
    used, idle = gateway.make_key(), gateway.make_key()
    endpoint = gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    gateway.infer(endpoint, used)
    told = gateway.get("/-/windows?after=0", X_Slipway_Token=TOKEN).json["keys"]
    ids = {text: parsed.key_id for text in (used, idle) if (parsed := keys.parse(text))}
    assert time.time() - told[ids[used]] < 20
    assert ids[idle] not in told
