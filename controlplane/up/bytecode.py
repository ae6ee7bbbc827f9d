"""Bytecode of the machine learning packages: ``python -m controlplane.up.bytecode``.

Only sandboxes import them, and those cannot write: without bytecode each examination would compile scikit-learn anew
(about 6 s instead of 2). Compiling what is compiled already costs next to nothing. With ``--yielding`` it leaves the
processors to the running product, and may take minutes beside one that is busy.
"""

import compileall
import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "joblib",
    "sklearn",
    "skops",
    "onnx",
    "onnxruntime",
    "onnxconverter_common",
    "skl2onnx",
    "onnxmltools",
    "lightgbm",
    "xgboost",
)


def main() -> None:
    if "--yielding" in sys.argv[1:]:
        os.nice(19)
    for name in PACKAGES:
        spec = find_spec(name)
        if spec and spec.origin:
            compileall.compile_dir(Path(spec.origin).parent, quiet=2, workers=0)


if __name__ == "__main__":
    main()
