"""A lease is kept up while the world outside takes its time, and only as long as it is ours."""

import threading

from apps.core import leases
from apps.targets.models import Target
from tests.faults.lab import Lab
from tests.promises.beds import wait_for


def test_a_lease_lasts_as_long_as_the_work(lab: Lab) -> None:
    row = leases.take(Target, Target.objects.get(name="lab").pk, seconds=0.3)
    assert row is not None
    seen = set()
    with leases.kept(row, seconds=0.3):
        wait_for(lambda: seen.add(Target.objects.get(name="lab").lease_until) or len(seen) > 4)
        assert leases.take(Target, row.pk, seconds=1) is None
    leases.release(row, due_in=None)
    assert leases.take(Target, row.pk, seconds=1) is not None


def test_a_lease_that_another_took_is_left_alone(lab: Lab) -> None:
    row = leases.take(Target, Target.objects.get(name="lab").pk, seconds=0.3)
    assert row is not None
    with leases.kept(row, seconds=0.3):
        leases.release(row, due_in=None)
        assert leases.take(Target, row.pk, seconds=60) is not None
        until = Target.objects.get(name="lab").lease_until
        wait_for(lambda: "lease" not in {thread.name for thread in threading.enumerate()})
    assert Target.objects.get(name="lab").lease_until == until
