"""Writes ``worker/inspection/allowlist.txt`` anew from the installed scikit-learn.

Run it after every change of the pinned scikit-learn, numpy or scipy, and read the difference before committing it:

    python -m tests.worker.inspection.generate_allowlist

Every estimator of ``all_estimators()`` is fitted on toy data: as it is on all that it takes, with each value of each
of its worded options on two, inside a pipeline with a column transformer, and in searches; so are splitters, kernels
and scorers. Each is saved with pickle protocols 2 to 5 and with joblib, and the inert machine writes down which names
occur and what is done with them. ``REVIEWED`` adds what people are known to use and toy data does not show. ``judge``
leaves out what is not from the few known packages, or is one of ``allowlist.NEVER``. The models of ``zoo`` have no
part in it: they measure how well the list fits what it was not made from.
"""

import io
import pickle
import signal
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from itertools import islice
from time import monotonic
from typing import Any

import joblib
import numpy as np
from scipy.sparse import csr_array
from sklearn import model_selection
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_selection import chi2, f_classif, f_regression, mutual_info_classif, mutual_info_regression
from sklearn.gaussian_process import kernels
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, get_scorer, get_scorer_names, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import StrOptions

from tests.worker.inspection import zoo
from worker.inspection import allowlist, pickles

PACKAGES = ("sklearn.", "numpy:", "numpy.", "scipy.sparse.", "scipy.interpolate.", "scipy._lib.array_api_compat.")

_FUNCTIONS = """
    abs absolute arcsinh arctan ceil cbrt clip cos cosh deg2rad exp exp2 expm1 fabs floor isnan log log10 log1p log2
    maximum minimum negative positive rad2deg reciprocal rint round sign sin sinh sqrt square tan tanh trunc nan_to_num
    ravel asarray array mean median sum max min amax amin std var
    """
_TYPES = """
    float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool bool_ str_ object_ number integer
    floating generic
    """

REVIEWED = {
    **{f"numpy:{name}": {allowlist.VALUE} for name in (_FUNCTIONS + _TYPES).split()},
    **{
        f"builtins:{name}": {allowlist.VALUE}
        for name in ("int", "float", "str", "bool", "object", "len", "list", "dict")
    },
    "builtins:slice": {allowlist.CALL},
    "builtins:set": {allowlist.CALL},
    "builtins:frozenset": {allowlist.CALL},
    "builtins:bytes": {allowlist.CALL},
    "builtins:bytearray": {allowlist.CALL},
    "builtins:complex": {allowlist.CALL},
    "_codecs:encode": {allowlist.CALL},
    "collections:OrderedDict": {allowlist.CALL, allowlist.NEW},
    "collections:defaultdict": {allowlist.CALL},
    "numpy:ndarray": {allowlist.VALUE},
    "numpy:dtype": {allowlist.CALL},
    "numpy.ma.core:_mareconstruct": {allowlist.CALL},
    "numpy.ma:MaskedArray": {allowlist.VALUE},
    "numpy.random._pickle:__bit_generator_ctor": {allowlist.CALL, allowlist.VALUE},
    "scipy.sparse._csr:csr_array": {allowlist.NEW},
    "scipy.sparse._csc:csc_matrix": {allowlist.NEW},
    "scipy.sparse._csc:csc_array": {allowlist.NEW},
    "scipy.sparse._coo:coo_matrix": {allowlist.NEW},
    "scipy.sparse._coo:coo_array": {allowlist.NEW},
    "sklearn.utils._bunch:Bunch": {allowlist.NEW, allowlist.CALL},
}


def main() -> None:
    """Write the list anew and print how it differs from the one that was there."""
    before, after = allowlist.load(), generate()
    lines = [f"{versions()}\n", *(f"{name} {' '.join(sorted(roles))}\n" for name, roles in sorted(after.items()))]
    allowlist._FILE.write_text("".join(lines), "utf-8")
    print(*differences(before, after), f"{len(after)} names", sep="\n")


def differences(before: allowlist.Allowed, after: allowlist.Allowed) -> list[str]:
    """One line for each name that came, went or changed its roles; what is to be reviewed."""
    changed = (name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
    return [f"{name}: {_roles(before, name)} → {_roles(after, name)}" for name in changed]


def _roles(names: allowlist.Allowed, name: str) -> str:
    return " ".join(sorted(names.get(name, ()))) or "absent"


def versions() -> str:
    """The libraries that the list is for, as its first line says."""
    return "# " + ", ".join(f"{library} {metadata.version(library)}" for library in ("scikit-learn", "numpy", "scipy"))


def generate() -> allowlist.Allowed:
    """Fit, save, record, judge."""
    names: dict[str, set[str]] = defaultdict(set)
    for name, roles in REVIEWED.items():
        names[name] |= roles
    for _, cls in all_estimators():
        names[f"{cls.__module__}:{cls.__qualname__}"].add(allowlist.NEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models():
            record(model, names)
    for name in [name for name in names if name.startswith("numpy._core.")]:
        names[name.replace("numpy._core.", "numpy.core.", 1)] |= names[name]  # as numpy 1 wrote it
    return {name: frozenset(roles) for name, roles in names.items() if judge(name)}


def judge(name: str) -> bool:
    """Whether the name is written; one that must never occur is left out loudly."""
    known = name in REVIEWED or name == "joblib.numpy_pickle:NumpyArrayWrapper" or name.startswith(PACKAGES)
    if known and not name.startswith(allowlist.NEVER):
        return True
    print("left out:", name)
    return False


def record(model: Any, names: dict[str, set[str]]) -> None:
    for data in saved(model):
        for name, roles in pickles.walk(data, None).names.items():
            names[name] |= roles or {allowlist.VALUE}


def saved(model: Any) -> Iterator[bytes]:
    for protocol in (2, 3, 4, 5):
        yield pickle.dumps(model, protocol=protocol)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    yield buffer.getvalue()


def models() -> Iterator[Any]:
    """Fitted models and the parts that they carry."""
    yield from compositions()
    yield from parts()
    seen: set[str] = set()
    for name, cls in all_estimators():
        for index, model in enumerate(variants(cls)):
            for fitted in fits(model, most=20 if index == 0 else 2):
                seen.add(name)
                yield fitted
    print("not fitted:", sorted({name for name, _ in all_estimators()} - seen))


def compositions() -> Iterator[BaseEstimator]:
    table, answers = zoo.mixed_table(), [0, 1] * 30
    columns = ColumnTransformer(
        [("n", StandardScaler(), [0, 1]), ("w", OneHotEncoder(), slice(2, 4))], remainder="drop"
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, answers)
    yield pipeline
    yield GridSearchCV(
        pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2, scoring=["accuracy", "f1"], refit="f1"
    ).fit(table, answers)
    yield GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(zoo.X, zoo.Y)
    yield FunctionTransformer(np.log1p).fit(np.abs(zoo.X))
    yield FeatureUnion([("s", StandardScaler()), ("p", "passthrough")]).fit(zoo.X)
    yield VotingClassifier([("t", DecisionTreeClassifier()), ("l", LogisticRegression())]).fit(zoo.X, zoo.Y % 2)
    yield StackingClassifier([("t", DecisionTreeClassifier())], LogisticRegression(), cv=2).fit(zoo.X, zoo.Y % 2)


def parts() -> Iterator[Any]:
    """Scorers, splitters, kernels, functions of feature selection."""
    yield [get_scorer(name) for name in get_scorer_names()]
    yield [get_scorer(name)._score_func for name in get_scorer_names()]
    yield [make_scorer(f1_score, response_method="predict"), make_column_selector(dtype_include=np.number)]
    yield [f_classif, f_regression, chi2, mutual_info_classif, mutual_info_regression]
    kernel = kernels.RBF() + kernels.WhiteKernel()
    yield [kernel * kernels.ConstantKernel(), kernels.Exponentiation(kernel, 2), kernels.CompoundKernel([kernel])]
    yield [
        kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.ExpSineSquared(),
        kernels.DotProduct(),
        kernels.PairwiseKernel(),
    ]
    for cls in vars(model_selection).values():
        if isinstance(cls, type) and hasattr(cls, "split"):
            with quiet():
                yield cls()


def variants(cls: type[BaseEstimator]) -> Iterator[BaseEstimator]:
    try:
        base = cls()
    except TypeError:
        try:
            base = cls(DecisionTreeClassifier())
        except TypeError:
            return
    yield shrink(base)
    for parameter, constraints in getattr(cls, "_parameter_constraints", {}).items():
        options = (
            [o for c in constraints if isinstance(c, StrOptions) for o in c.options]
            if isinstance(constraints, list)
            else []
        )
        for option in sorted(options):
            with quiet():
                yield shrink(clone(base).set_params(**{parameter: option}))


def shrink(model: BaseEstimator) -> BaseEstimator:
    """As little work as possible: names do not depend on it."""
    small = {
        "n_estimators": 2,
        "max_iter": 20,
        "n_iter": 2,
        "Cs": 2,
        "cv": 2,
        "n_jobs": 1,
        "n_alphas": 3,
        "alphas": 3,
        "n_init": 1,
    }
    for name in small.keys() & model.get_params(deep=False).keys():
        with quiet():
            model.set_params(**{name: small[name]})
    return model


def fits(model: BaseEstimator, most: int) -> Iterator[BaseEstimator]:
    """The model fitted on toy data, at most so many: two classes, three, words, numbers and counts bring other names.

    Each may last a second.
    """
    positive = np.abs(zoo.X)
    kernel = zoo.X @ zoo.X.T
    answers = (zoo.Y % 2, zoo.Y, zoo.WORDS, np.stack([zoo.Y, zoo.Y], 1), np.stack([zoo.Y, zoo.Y], 1) % 2)
    tries: tuple[tuple[Any, ...], ...] = (
        *((positive, answer) for answer in answers),
        *((zoo.XR, zoo.YR), (zoo.XR, np.abs(zoo.YR)), (zoo.XR, np.stack([zoo.YR, zoo.YR], 1)), (positive,)),
        *((csr_array(positive), zoo.Y % 2), (kernel, zoo.Y), (positive[:, :1], zoo.Y)),
        *((zoo.TEXTS,), (zoo.WORDS,), ([{"a": 1}, {"b": 2}],), ([["a", "b"], ["b"]],)),
    )
    found = (fit(clone(model), *arguments) for arguments in tries)
    yield from islice((fitted for fitted in found if fitted is not None), most)
    if "estimator" in model.get_params(deep=False):
        for inner in (LogisticRegression(), Ridge()):
            fitted = fit(clone(model).set_params(estimator=inner), positive, zoo.Y % 2)
            yield from [] if fitted is None else [fitted]


def fit(model: BaseEstimator, *arguments: Any) -> BaseEstimator | None:
    with quiet(), deadline(monotonic() + 1):
        return model.fit(*arguments)
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Toy data does not suit every estimator; those failures are what is being tried out."""
    try:
        yield
    except Exception:
        return


@contextmanager
def deadline(stop: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(stop - monotonic(), 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
