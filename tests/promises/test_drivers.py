"""One suite for all drivers: the promises of worker/drivers/base.py, each tried on every kind."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.promises.beds import BEDS, INSTANCE, Bed
from worker.drivers.registry import DRIVERS
from worker.errors import ToolError


@pytest.fixture(params=sorted(BEDS))
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = BEDS[request.param](tmp_path, request.getfixturevalue)
    yield bed
    bed.close()


def test_every_kind_of_driver_has_a_bed_here() -> None:
    assert {bed.kind for bed in BEDS.values()} == DRIVERS.keys()


def test_a_check_looks_and_reports_in_sentences(bed: Bed) -> None:
    lines = bed.driver.check()
    assert lines
    assert all(line.name and str(line.detail) for line in lines)


def test_nodes_tell_what_they_have_and_what_is_free(bed: Bed) -> None:
    bed.driver.start(bed.make())  # some hosts are only seen from inside something of ours
    node = max(bed.driver.nodes(), key=lambda node: node.disk_free_bytes)
    assert node.state == "ready"
    assert node.cpus >= 1
    assert 0 < node.memory_free_bytes <= node.memory_bytes
    assert node.disk_free_bytes > 0


def test_a_started_replica_runs_at_an_address(bed: Bed) -> None:
    before = time.time()
    spec = bed.make()
    status = bed.driver.start(spec)
    assert (status.name, status.state) == (spec.name, "running")
    host, port = status.address.split(":")
    assert host == bed.host_of(status)
    assert int(port) > 0
    assert before - 1 <= status.started_at <= time.time()
    assert status.labels == spec.labels
    assert bed.driver.status(spec.name) == status


def test_starting_a_name_that_runs_changes_nothing(bed: Bed) -> None:
    spec = bed.make()
    assert bed.driver.start(spec) == bed.driver.start(spec)
    assert len(bed.driver.list_owned(INSTANCE)) == 1


def test_nothing_is_started_whose_bytes_changed(bed: Bed) -> None:
    spec = bed.make()
    bed.damage(spec)
    with pytest.raises(ToolError) as caught:
        bed.driver.start(spec)
    assert (caught.value.kind, caught.value.permanent) == ("digest_mismatch", True)
    assert bed.driver.status(spec.name).state == "gone"


def test_what_needs_a_wall_is_not_started_without_one(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(bed.make(), needs_wall=True)
    monkeypatch.setattr(bed.driver, "is_walled", False)
    with pytest.raises(ToolError) as caught:
        bed.driver.start(spec)
    assert (caught.value.kind, caught.value.permanent) == ("no_wall", True)
    assert bed.driver.status(spec.name).state == "gone"


def test_a_stopped_replica_is_gone_and_its_name_is_free(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    bed.driver.stop(spec.name, 2)
    assert bed.driver.status(spec.name).state == "gone"
    assert bed.driver.list_owned(INSTANCE) == []
    assert bed.driver.start(spec).state == "running"


def test_stopping_what_is_gone_succeeds(bed: Bed) -> None:
    bed.driver.stop("slipway-never-was", 1)


def test_a_later_driver_finds_what_runs(bed: Bed) -> None:
    spec = bed.make()
    status = bed.driver.start(spec)
    later = bed.open()
    assert later.status(spec.name) == status
    assert later.start(spec) == status
    later.stop(spec.name, 2)
    assert bed.driver.status(spec.name).state == "gone"


def test_a_replica_that_dies_is_a_status_with_its_reason(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    bed.kill(spec.name)
    status = bed.until(spec.name, "exited")
    assert status.kind in ("crashed", "killed")
    assert str(status.reason)
    assert status.address == ""
    assert bed.driver.list_owned(INSTANCE) == [status]


def test_a_name_that_died_can_be_started_again(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    bed.kill(spec.name)
    bed.until(spec.name, "exited")
    assert bed.driver.start(spec).state == "running"


def test_a_dead_replica_can_be_stopped(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    bed.kill(spec.name)
    bed.until(spec.name, "exited")
    bed.driver.stop(spec.name, 1)
    assert bed.driver.status(spec.name).state == "gone"


def test_only_our_own_instance_is_listed(bed: Bed) -> None:
    bed.driver.start(bed.make("slipway-1-1-0"))
    bed.driver.start(bed.make("slipway-2-1-0", instance="another"))
    assert [status.name for status in bed.driver.list_owned(INSTANCE)] == ["slipway-1-1-0"]
    assert bed.driver.list_owned("nobody") == []


def test_stopping_one_leaves_the_others_alone(bed: Bed) -> None:
    bed.driver.start(bed.make("slipway-1-1-0"))
    bed.driver.start(bed.make("slipway-1-1-1"))
    bed.driver.stop("slipway-1-1-0", 2)
    assert [status.name for status in bed.driver.list_owned(INSTANCE)] == ["slipway-1-1-1"]
    assert bed.driver.status("slipway-1-1-1").state == "running"


def test_logs_are_the_last_lines_oldest_first(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    bed.kill(spec.name)
    bed.until(spec.name, "exited")
    assert bed.driver.logs(spec.name, lines=0) == []
    assert len(bed.driver.logs(spec.name, lines=1)) <= 1
    assert bed.driver.logs(spec.name, since=time.time() + 3600) == []
    assert bed.driver.logs("slipway-never-was") == []


def test_resources_are_counted_while_it_runs(bed: Bed) -> None:
    spec = bed.make()
    bed.driver.start(spec)
    stats = bed.driver.stats(spec.name)
    assert stats
    assert stats.memory_bytes > 0
    assert stats.cpu_seconds >= 0
    bed.driver.stop(spec.name, 2)
    assert bed.driver.stats(spec.name) is None
