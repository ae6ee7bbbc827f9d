"""XGBoost: opens its JSON and UBJSON files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from worker.inspection.probes.boosters import Booster, Splits
from worker.inspection.probes.reporting import Failure


class XGBooster(Booster):
    library = "xgboost"

    def compute(self, rows: np.ndarray) -> Any:
        return self.booster.inplace_predict(np.ascontiguousarray(rows, dtype=np.float32), validate_features=False)

    def splits(self) -> Splits:
        model = json.loads(self.booster.save_raw("json"))["learner"]["gradient_booster"]
        trees = model.get("model", model.get("gbtree", {}).get("model", {})).get("trees", [])
        return [
            (int(column), float(value))
            for tree in trees
            for column, value, left in zip(
                tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
            )
            if left != -1
        ]


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> XGBooster:
    booster = xgboost.Booster(params={"nthread": 1})
    booster.load_model(path)
    learner = json.loads(booster.save_config())["learner"]
    if learner["gradient_booster"].get("name") == "gblinear":  # neither converted nor predicted in place
        raise Failure("linear_booster")
    rounds, names = best_rounds(booster), booster.feature_names or ()
    chosen = booster[:rounds] if rounds else booster
    chosen.feature_names = None  # from here on they are ours; the converter takes no others than f0, f1 …
    return XGBooster(chosen, booster.num_features(), learner["objective"]["name"], names)


def best_rounds(booster: xgboost.Booster) -> int:
    """After how many rounds XGBClassifier and its kin stop answering, where they stopped early; 0 for all.

    They save all rounds and the number of the best one. A booster by itself uses all, whatever the best was. The
    runtime's loader does the same.
    """
    best = booster.attr("best_iteration") if booster.attr("scikit_learn") else None
    return int(best) + 1 if best and best.isdigit() else 0
