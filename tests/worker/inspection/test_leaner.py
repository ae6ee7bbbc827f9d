"""What a probe leaves out at first is there when it is needed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

POSTPONED = """
import sys
from worker.inspection.probes import leaner
leaner.postpone_statistics()
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.preprocessing import QuantileTransformer
assert "scipy.stats._stats_py" not in sys.modules, "importing scikit-learn brought the statistics"
rows = np.arange(20.0).reshape(-1, 1)
made = QuantileTransformer(n_quantiles=20, output_distribution="normal").fit_transform(rows)
from scipy.stats import norm
assert np.allclose(made[1:-1], norm.ppf(rows[1:-1] / 19))
assert IsotonicRegression(increasing="auto").fit(rows[:, 0], -rows[:, 0]).increasing_ == False
import scipy.stats.mstats
"""
HIDDEN = """
import sys
from worker.inspection.probes import leaner
leaner.hide("sklearn")
import numpy as np, lightgbm, xgboost
booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(np.eye(4), np.arange(4)), 2)
assert booster.inplace_predict(np.eye(4)).shape == (4,)
assert not [name for name in sys.modules if name.startswith("sklearn.")]
leaner.hide("json")
import json
assert json, "what is there already stays"
"""


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_statistics_are_imported_when_they_are_used() -> None:
    run(POSTPONED)


def test_boosters_do_without_scikit_learn() -> None:
    run(HIDDEN)
