"""LightGBM: opens its text files."""

import re
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from worker.inspection.probes.boosters import Booster, Splits
from worker.inspection.probes.samples import round_down

_MADE_UP = re.compile(r"Column_\d+")  # what LightGBM calls columns that came without names


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

    def rounded(self) -> Any:
        """The same booster with thresholds rounded down to float32: for inputs of float32 it answers the same."""
        lines = self.booster.model_to_string().splitlines(keepends=True)
        kept = (line for line in lines if not line.startswith("tree_sizes="))  # byte counts, which change
        text = "".join(_round(line) if line.startswith("threshold=") else line for line in kept)
        return lightgbm.Booster(model_str=text)


def _round(line: str) -> str:
    values = round_down(np.array([float(word) for word in line.partition("=")[2].split()]))
    return "threshold=" + " ".join(repr(float(value)) for value in values) + "\n"


def open_model(path: Path, kind: str, allowed: frozenset[str]) -> LightBooster:
    booster = lightgbm.Booster(model_file=str(path))
    objective = str(booster.dump_model(num_iteration=1).get("objective", ""))
    names = [] if all(map(_MADE_UP.fullmatch, booster.feature_name())) else booster.feature_name()
    return LightBooster(booster, booster.num_feature(), objective.split(" ")[0], names)
