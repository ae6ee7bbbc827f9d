"""A lease is kept up while the world outside takes its time, and only as long as it is ours."""

import threading

from apps.core import leases
from apps.targets.models import Target
from tests.faults.lab import Lab
from tests.promises.beds import wait_for

BRIEF_SECONDS = 1.5  # renewed three times within it: so long a thread may be kept from running on a busy machine


def test_a_lease_lasts_as_long_as_the_work(lab: Lab) -> None:
    row = leases.take(Target, Target.objects.get(name="lab").pk, seconds=BRIEF_SECONDS)
    assert row is not None
    seen = set()
    with leases.kept(row, seconds=BRIEF_SECONDS):
        wait_for(lambda: seen.add(Target.objects.get(name="lab").lease_until) or len(seen) > 4)
        assert leases.take(Target, row.pk, seconds=1) is None
    leases.release(row, due_in=None)
    assert leases.take(Target, row.pk, seconds=1) is not None


def test_a_lease_that_another_took_is_left_alone(lab: Lab) -> None:
    row = leases.take(Target, Target.objects.get(name="lab").pk, seconds=BRIEF_SECONDS)
    assert row is not None
    with leases.kept(row, seconds=BRIEF_SECONDS):
        leases.release(row, due_in=None)
        assert leases.take(Target, row.pk, seconds=60) is not None
        until = Target.objects.get(name="lab").lease_until
        wait_for(lambda: "lease" not in {thread.name for thread in threading.enumerate()})
    assert Target.objects.get(name="lab").lease_until == until
