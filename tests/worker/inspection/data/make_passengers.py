"""Makes ``passengers.joblib``: a pipeline fitted on a table of pandas, which the tests' own environment does not have.

Run it where pandas and the pinned scikit-learn are installed: python make_passengers.py
"""

from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rng = np.random.default_rng(0)
table = pd.DataFrame(
    {
        "age": rng.integers(18, 80, 80),
        "fare": rng.normal(size=80) * 10,
        "sex": rng.choice(["m", "f"], 80),
        "port of call": rng.choice(["S", "C", "Q", None], 80),
    }
)
columns = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
    (
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
        ["sex", "port of call"],
    ),
)
model = make_pipeline(columns, RandomForestClassifier(3, max_depth=3, random_state=0))
joblib.dump(model.fit(table, rng.integers(0, 2, 80)), Path(__file__).with_name("passengers.joblib"))
