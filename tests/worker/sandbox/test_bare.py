"""A machine that really has no wall: nothing that could run code is opened there."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

from sklearn.linear_model import LinearRegression

from tests.worker.inspection.test_formats import graph


def test_a_machine_without_any_wall_opens_no_pickle_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])))
    (tmp_path / "model.onnx").write_bytes(graph())
    program = [sys.executable, "-m", "tests.worker.sandbox.bare", str(tmp_path)]
    seen = json.loads(subprocess.run(program, capture_output=True, check=True, text=True, timeout=120).stdout)

    assert seen["walls"] == []
    assert seen["run"] == "no_sandbox"
    assert not (tmp_path / "ran").exists()
    state, reason = seen["model.pkl"]["sandbox"]
    assert (state, "a pickle is opened nowhere else" in reason) == ("failed", True)
    assert seen["model.pkl"]["safety"][0] == "passed"  # it is the missing wall alone that refuses it
    assert seen["model.pkl"]["load"][0] == "skipped"
    assert seen["model.onnx"]["sandbox"][0] == "warned"
    assert seen["model.onnx"]["profile"][0] == "passed"
