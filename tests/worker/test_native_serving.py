"""What the examination decides to serve, the runtime serves: whole models, from upload to answer.

The runtime asks each model its golden sample before it becomes ready, and refuses to start when the answer differs; so
that it becomes ready at all is the proof. The answer over HTTP is compared once more.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer

from tests.runtime.bundles import write_bundle
from tests.runtime.replicas import start
from tests.worker.inspection.examining import examined
from worker import sandbox

pytestmark = pytest.mark.skipif(sandbox.strongest() is None, reason="this machine has no sandbox")

CHANCE = np.random.default_rng(0)
NUMBERS, TARGET = CHANCE.normal(size=(80, 3)), CHANCE.uniform(1, 9, size=80)
TEXTS = ["a good day", "a bad day", "good", "bad bad", "so good", "very bad"] * 12
MOODS = [text.count("good") for text in TEXTS]
TABLE = np.array([[f"k{n % 3}", float(n % 7)] for n in range(80)], dtype=object)


def bins() -> Any:
    return SplineTransformer(n_knots=4).fit(NUMBERS)


def words() -> Any:
    return make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), LogisticRegression()).fit(
        TEXTS, MOODS
    )


def columns() -> Any:
    parts = ColumnTransformer([("kind", OneHotEncoder(), [0]), ("number", KBinsDiscretizer(3), [1])])
    target = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)
    return make_pipeline(parts, target).fit(TABLE, TARGET)


@pytest.mark.parametrize("make", [bins, words, columns])
def test_what_is_served_natively_answers_as_the_examination_saw(make: Any, tmp_path: Path) -> None:
    verdict = examined(tmp_path, {"model.pkl": pickle.dumps(make())}).verdict
    assert (verdict.accepted, verdict.served_format) == (True, "skops")
    assert verdict.served_path is not None
    assert verdict.signature is not None
    sides = [
        [(t.name, t.datatype, list(t.shape)) for t in side]
        for side in (verdict.signature.inputs, verdict.signature.outputs)
    ]
    bundle = write_bundle(
        tmp_path / "bundle",
        verdict.served_path.read_bytes(),
        *sides,
        name="model",
        format=verdict.served_format,
        trusted=list(verdict.trusted),
        golden=dict(verdict.golden),
    )
    with start(bundle) as replica:
        answer = replica.infer("model", dict(verdict.golden["request"])).json()
    for got, expected in zip(answer["outputs"], verdict.golden["response"]["outputs"], strict=True):
        assert got["name"] == expected["name"]
        if got["datatype"] == "BYTES":
            assert got["data"] == expected["data"]
        else:
            assert got["data"] == pytest.approx(expected["data"], rel=1e-4, abs=1e-4)
