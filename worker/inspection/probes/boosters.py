"""What XGBoost's and LightGBM's boosters have in common: a matrix in, ``output`` out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from worker.inspection.probes.models import Arrays, Origin, Tensor, datatype_of, fitting

Splits = list[tuple[int, float]]  # column, threshold


class Booster(ABC):
    """A booster with our signature around it. Each library says how it predicts and where its trees split."""

    library = ""

    def __init__(self, booster: Any, width: int, objective: str, names: Sequence[str] = ()) -> None:
        self.booster = booster
        self.objective = objective
        self.inputs = [Tensor("input", "FP32", (-1, width), fitting(names, width))]
        self.outputs: list[Tensor] = []
        self.origin = Origin("Booster", notes={"objective": objective})

    def learn_inputs(self, names: Sequence[str]) -> None:
        """Take the names of the columns that came beside the model, where it has none of its own."""
        (table,) = self.inputs
        self.inputs = [replace(table, columns=table.columns or fitting(names, table.shape[1]))]

    def predict(self, arrays: Arrays) -> Arrays:
        return {"output": np.asarray(self.compute(arrays["input"]))}

    @abstractmethod
    def compute(self, rows: np.ndarray) -> Any:
        """The library's own answer for ``rows``."""

    @abstractmethod
    def splits(self) -> Splits:
        """Where the trees split: column and threshold."""

    def learn_outputs(self, answers: Arrays) -> None:
        self.outputs = [Tensor(name, datatype_of(array), (-1, *array.shape[1:])) for name, array in answers.items()]
