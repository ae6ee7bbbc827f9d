"""What a probe measures of the file that will be served."""

import time

import numpy as np
import pytest

from worker.inspection.probes import profiling
from worker.inspection.probes.models import Arrays, Tensor


class Quick:
    """A model that answers in no time."""

    inputs = [Tensor("x", "FP32", (-1, 2))]

    def predict(self, arrays: Arrays) -> Arrays:
        return arrays


def test_the_throughput_of_a_quick_model_is_told_by_a_clock_that_ticks_in_hundredths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "process_time", lambda: int(time.thread_time() * 100) / 100)
    found = profiling.speeds(Quick(), {"x": np.ones((1, 2), np.float32)})
    assert found["throughput"]["rows_per_second"] > 10_000
    assert found["throughput"]["rows"] == 32
