"""Ordinary scikit-learn models on toy data: what people really save, fitted for real."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, f_regression, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, RationalQuadratic, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.metrics import f1_score, make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

IRIS = load_iris()
DIABETES = load_diabetes()
X, Y = IRIS.data[::2], IRIS.target[::2]
XR, YR = DIABETES.data[:120], DIABETES.target[:120]
WORDS = np.array(["setosa", "versicolor", "virginica"])[Y]
TEXTS = [
    f"{a} {b} {c}"
    for a in ("good", "bad", "fine")
    for b in ("film", "book", "meal")
    for c in ("again", "never", "perhaps")
]
MOODS = [int(text.startswith("bad")) for text in TEXTS]


def mixed_table(rows: int = 60) -> np.ndarray:
    """Two columns of numbers and two of words, as a table of objects."""
    rng = np.random.default_rng(0)
    table = np.empty((rows, 4), dtype=object)
    table[:, 0] = rng.normal(size=rows).astype(np.float32).astype(float)
    table[:, 1] = rng.integers(18, 80, size=rows).astype(float)
    table[:, 2] = rng.choice(["red", "green", "blue"], size=rows)
    table[:, 3] = rng.choice(["north", "south"], size=rows)
    return table


def mixed_pipeline(final: Any) -> Pipeline:
    """Scale the numbers, encode the words, then ``final``."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return Pipeline([("columns", ColumnTransformer([("n", numbers, [0, 1]), ("w", words, [2, 3])])), ("model", final)])


def classifiers() -> Iterator[tuple[str, Any]]:
    yield "logistic regression", LogisticRegression(max_iter=500)
    yield "logistic regression in a pipeline", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    yield "random forest", RandomForestClassifier(n_estimators=10, random_state=0)
    yield "extra trees", ExtraTreesClassifier(n_estimators=10, random_state=0)
    yield "gradient boosting", GradientBoostingClassifier(n_estimators=5, random_state=0)
    yield "histogram gradient boosting", HistGradientBoostingClassifier(max_iter=5, random_state=0)
    yield "support vectors", SVC(random_state=0)
    yield "linear support vectors", LinearSVC(random_state=0)
    yield "nearest neighbours", KNeighborsClassifier(3)
    yield "nearest neighbours by a tree", KNeighborsClassifier(3, algorithm="ball_tree", metric="manhattan")
    yield "decision tree", DecisionTreeClassifier(random_state=0)
    yield "naive Bayes", GaussianNB()
    yield "Bernoulli Bayes", BernoulliNB()
    yield "perceptron network", MLPClassifier((8,), max_iter=600, random_state=0, tol=0.01)
    yield "ridge", RidgeClassifier()
    yield "stochastic gradient", SGDClassifier(loss="log_loss", random_state=0)
    yield "discriminant analysis", LinearDiscriminantAnalysis()
    yield "adaptive boosting", AdaBoostClassifier(n_estimators=5, random_state=0)
    yield "bagging", BaggingClassifier(LogisticRegression(max_iter=500), n_estimators=3, random_state=0)
    yield (
        "voting",
        VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], voting="soft"),
    )
    yield (
        "stacking",
        StackingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier(3))], LogisticRegression(), cv=2),
    )
    yield "calibrated", CalibratedClassifierCV(LinearSVC(random_state=0), cv=2)
    yield "one against the rest", OneVsRestClassifier(LogisticRegression(max_iter=500))
    yield "one against one", OneVsOneClassifier(GaussianNB())
    yield "Gaussian process", GaussianProcessClassifier(ConstantKernel() * RBF(), random_state=0)
    yield (
        "cross-validated logistic regression",
        LogisticRegressionCV(
            Cs=[1.0], cv=2, max_iter=500, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False
        ),
    )
    yield (
        "grid search",
        GridSearchCV(
            make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10], "svc__kernel": ["rbf", "linear"]}, cv=2
        ),
    )
    yield (
        "grid search with a scorer",
        GridSearchCV(
            DecisionTreeClassifier(random_state=0),
            {"max_depth": [2, None]},
            cv=StratifiedKFold(2),
            scoring=make_scorer(f1_score, average="macro"),
        ),
    )
    yield (
        "random search",
        RandomizedSearchCV(
            RandomForestClassifier(3, random_state=0), {"max_depth": [2, 3, 4]}, n_iter=2, cv=2, random_state=0
        ),
    )
    yield "feature selection", make_pipeline(SelectKBest(k=2), LogisticRegression(max_iter=500))
    yield "selection by a model", make_pipeline(SelectFromModel(DecisionTreeClassifier(random_state=0)), GaussianNB())
    yield (
        "recursive elimination",
        make_pipeline(RFE(LogisticRegression(max_iter=500), n_features_to_select=2), GaussianNB()),
    )
    yield "components", make_pipeline(PCA(2), KNeighborsClassifier(3))
    yield (
        "union of features",
        make_pipeline(FeatureUnion([("p", PCA(2)), ("s", SelectKBest(k=1))]), LogisticRegression(max_iter=500)),
    )
    yield "polynomials", make_pipeline(PolynomialFeatures(2), MinMaxScaler(), LogisticRegression(max_iter=500))
    yield (
        "bins",
        make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LogisticRegression(max_iter=500)),
    )
    yield "logarithm first", make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500))


def regressors() -> Iterator[tuple[str, Any]]:
    yield "linear regression", LinearRegression()
    yield "ridge regression", make_pipeline(RobustScaler(), Ridge())
    yield "lasso", Lasso(0.1)
    yield "elastic net", ElasticNet(0.1)
    yield "forest regression", RandomForestRegressor(n_estimators=10, random_state=0)
    yield "tree regression", DecisionTreeRegressor(max_depth=4, random_state=0)
    yield "boosted regression", GradientBoostingRegressor(n_estimators=5, loss="huber", random_state=0)
    yield "histogram regression", HistGradientBoostingRegressor(max_iter=5, loss="poisson", random_state=0)
    yield "support vector regression", SVR()
    yield "neighbour regression", KNeighborsRegressor(3, weights="distance")
    yield "network regression", MLPRegressor(hidden_layer_sizes=(8,), max_iter=300, random_state=0, tol=10.0)
    yield "Gaussian process regression", GaussianProcessRegressor(Matern() + WhiteKernel(), random_state=0)
    yield "transformed target", TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)
    yield "splines", make_pipeline(SplineTransformer(n_knots=3), Ridge())
    yield "power", make_pipeline(PowerTransformer(), Ridge())
    yield "quantiles", make_pipeline(QuantileTransformer(n_quantiles=20, random_state=0), Ridge())
    yield "search by error", GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=KFold(2), scoring="neg_mean_squared_error")
    yield (
        "search with a custom scorer",
        GridSearchCV(
            Ridge(), {"alpha": [0.1, 1.0]}, cv=2, scoring=make_scorer(mean_squared_error, greater_is_better=False)
        ),
    )
    yield "voting regression", VotingRegressor([("a", LinearRegression()), ("b", Lasso())])
    yield "stacking regression", StackingRegressor([("a", LinearRegression()), ("b", Lasso())], Ridge(), cv=2)
    yield "selected regression", make_pipeline(SelectKBest(f_regression, k=3), LinearRegression())
    yield "imputed regression", make_pipeline(KNNImputer(), LinearRegression())
    yield "rational kernel", GaussianProcessRegressor(RationalQuadratic(), random_state=0)


def ordinary() -> Iterator[tuple[str, Any]]:
    """Every model of the zoo, fitted."""
    for name, model in classifiers():
        yield name, model.fit(X, Y)
    for name, model in regressors():
        yield name, model.fit(XR, YR)
    yield "words as classes", LogisticRegression(max_iter=500).fit(X, WORDS)
    yield "mixed columns", mixed_pipeline(LogisticRegression()).fit(mixed_table(), [0, 1] * 30)
    yield (
        "mixed columns in a forest",
        mixed_pipeline(RandomForestClassifier(5, random_state=0)).fit(mixed_table(), ["no", "yes"] * 30),
    )
    yield (
        "ordinal columns",
        Pipeline(
            [("c", ColumnTransformer([("o", OrdinalEncoder(), [2, 3])], remainder="passthrough")), ("m", Ridge())]
        ).fit(mixed_table(), np.arange(60.0)),
    )
    yield (
        "search over mixed columns",
        GridSearchCV(mixed_pipeline(LogisticRegression()), {"model__C": [0.1, 1.0]}, cv=2).fit(
            mixed_table(), [0, 1] * 30
        ),
    )
    yield "text", make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, MOODS)
    yield (
        "text counts",
        make_pipeline(CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(), MultinomialNB()).fit(TEXTS, MOODS),
    )
    yield (
        "hashed text",
        make_pipeline(HashingVectorizer(n_features=64), SGDClassifier(random_state=0)).fit(TEXTS, MOODS),
    )
    yield (
        "text components",
        make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0), LogisticRegression()).fit(TEXTS, MOODS),
    )
    yield "clusters", KMeans(3, n_init=1, random_state=0).fit(X)
    yield "small-batch clusters", MiniBatchKMeans(3, n_init=1, random_state=0).fit(X)
    yield "outliers", IsolationForest(n_estimators=5, random_state=0).fit(X)
    yield "scaler alone", StandardScaler().fit(X)
    yield "components alone", PCA(2).fit(X)
    yield "factors", NMF(2, random_state=0, max_iter=500, tol=0.01).fit(X)
    yield "several outputs", MultiOutputRegressor(Ridge()).fit(XR, np.stack([YR, -YR], axis=1))
    yield "several labels", MultiOutputClassifier(GaussianNB()).fit(X, np.stack([Y, 2 - Y], axis=1))
    yield "forest with several outputs", RandomForestRegressor(5, random_state=0).fit(XR, np.stack([YR, -YR], axis=1))
    yield "information", make_pipeline(SelectKBest(mutual_info_classif, k=2), GaussianNB()).fit(X, Y)
    yield (
        "selector by type",
        make_pipeline(ColumnTransformer([("n", StandardScaler(), [0, 1])]), LogisticRegression()).fit(X, Y),
    )
