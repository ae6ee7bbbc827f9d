"""Make the sample model that a new project is offered; run as ``python -m controlplane.demo.sample FOLDER``.

A small pipeline on Fisher's irises, with everything that a good upload brings: a card with the score measured
here, the names of the classes, and a request. Run it again after an update of scikit-learn; tests compare.
"""

import json
import sys
from pathlib import Path

import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

CARD = """---
license: cc0-1.0
tags: [sample, tabular]
---

# Iris

Tells three kinds of iris apart by four lengths, in centimetres: of sepal and petal, length and width.
A logistic regression over standardised columns.

## Intended use

To walk the whole way from an upload to a live endpoint once. Of no use to gardeners.

## Training data

150 flowers that Edgar Anderson measured and R. A. Fisher published in 1936, as shipped with scikit-learn.
{train} of them taught the model.

## Evaluation

On the other {test} it is right {score:.1%} of the time.

## Limitations

Knows three kinds and names one of them for whatever it is given, also for roses.
"""


def main(folder: Path) -> None:
    train, test, labels, truth = split()
    model = fit(train, labels)
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, folder / "iris.skops")
    facts = {"train": len(train), "test": len(test), "score": model.score(test, truth)}
    (folder / "README.md").write_text(CARD.format(**facts))
    (folder / "labels.txt").write_text("\n".join(load_iris().target_names) + "\n")
    flowers = {"name": "input", "datatype": "FP32", "shape": [3, 4], "data": test[:3].ravel().tolist()}
    (folder / "example.json").write_text(json.dumps({"inputs": [flowers]}, indent=2) + "\n")


def split() -> list:  # type: ignore[type-arg]
    """Rows to learn from and to be tried with, and the kinds of both."""
    return train_test_split(*load_iris(return_X_y=True), test_size=0.25, random_state=7, stratify=load_iris().target)


def fit(rows: object, labels: object) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
