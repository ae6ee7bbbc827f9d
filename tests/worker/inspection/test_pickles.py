"""The inert machine: nothing harmful passes, nothing ordinary is refused, and nothing is ever run."""

import bz2
import gzip
import io
import lzma
import pickle
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tests.worker.inspection import malice, zoo
from worker.inspection import allowlist, pickles
from worker.inspection.pickle_values import Broken, Forbidden

SMALL = pickle.dumps(LogisticRegression().fit(zoo.X[20:40], zoo.Y[20:40]))


def test_the_corpus_is_armed(tmp_path: Path) -> None:
    """Plain pickle falls for it: the marker appears."""
    marker = tmp_path / "marker"
    armed = dict(malice.streams(marker))
    for label in ("os:system", "protocol 0", "name put together from the memo", "second pickle behind"):
        data = io.BytesIO(armed[label])
        pickle.load(data)
        if label == "second pickle behind":
            pickle.load(data)
        assert marker.exists(), label
        marker.unlink()


@pytest.fixture(scope="module")
def ordinary() -> list[tuple[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(zoo.ordinary())


def test_ordinary_models_pass_in_every_protocol_and_under_every_compression(ordinary: list[tuple[str, Any]]) -> None:
    """The list was not made from these models: at most two of a hundred may be refused."""
    refused, seen = [], 0
    for label, model in ordinary:
        for way, data in _saved(model):
            seen += 1
            try:
                pickles.walk(data, allowlist.load())
            except (Broken, Forbidden) as error:
                refused.append((label, way, str(error)))
    assert seen >= 400
    assert len(refused) <= seen * 0.02, refused


def _saved(model: Any) -> list[tuple[str, bytes]]:
    ways = [(f"protocol {number}", pickle.dumps(model, protocol=number)) for number in (2, 3, 4, 5)]
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return [*ways, ("joblib", buffer.getvalue())]


@pytest.mark.parametrize("compress", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_joblib_compression_is_taken_off_by_us(compress: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    joblib.dump(LogisticRegression().fit(zoo.X, zoo.Y), path, compress=(compress, 3))
    unpackers = {"zlib": zlib, "gzip": gzip, "bz2": bz2, "xz": lzma, "lzma": lzma}
    unpack = unpackers[compress].decompress
    found = pickles.walk(unpack(path.read_bytes()), allowlist.load())  # type: ignore[attr-defined]
    assert found.root == "sklearn.linear_model._logistic:LogisticRegression"
    assert found.raw_arrays > 0


def test_the_version_of_the_library_is_read_without_opening() -> None:
    found = pickles.walk(pickle.dumps(LogisticRegression()), allowlist.load())
    assert found.versions == {__import__("sklearn").__version__}


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_damaged_pickles_are_refused_and_never_break_the_machine(data: st.DataObject) -> None:
    original = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Broken, Forbidden):
        pickles.walk(bytes(original), allowlist.load())


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_judged_without_an_accident(data: bytes) -> None:
    with suppress(Broken, Forbidden):
        pickles.walk(b"\x80\x04" + data, allowlist.load())
