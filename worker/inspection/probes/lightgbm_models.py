"""LightGBM: opens its text files."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from worker.inspection.probes.boosters import Booster, Splits


class LightBooster(Booster):
    library = "lightgbm"

    def compute(self, rows: np.ndarray) -> Any:
        return self.booster.predict(rows.astype(np.float64), num_threads=1)

    def splits(self) -> Splits:
        found: Splits = []
        columns: list[int] = []
        for line in self.booster.model_to_string().splitlines():
            if line.startswith("split_feature="):
                columns = [int(word) for word in line.partition("=")[2].split()]
            elif line.startswith("threshold="):
                found.extend(zip(columns, (float(word) for word in line.partition("=")[2].split()), strict=False))
        return found


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> LightBooster:
    booster = lightgbm.Booster(model_file=str(path))
    objective = str(booster.dump_model(num_iteration=1).get("objective", ""))
    return LightBooster(booster, booster.num_feature(), objective.split(" ")[0])
