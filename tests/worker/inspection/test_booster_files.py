"""What XGBoost writes itself passes the walk that refuses the odd."""

from pathlib import Path

import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.inspection import zoo
from worker.inspection import booster_files
from worker.inspection.refusals import Refusal


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder: Path = tmp_path_factory.mktemp("boosters")
    matrix = xgboost.DMatrix(zoo.X, zoo.Y, feature_names=['a "b"', "{c", "}d", "é"])
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, matrix, 5)
    booster.set_attr(note='a "text" with { brackets ] and \\ strokes')
    for form in ("json", "ubj"):
        booster.save_model(folder / f"m.{form}")
    return {"xgboost_json": (folder / "m.json").read_bytes(), "xgboost_ubj": (folder / "m.ubj").read_bytes()}


@pytest.mark.parametrize("kind", ["xgboost_json", "xgboost_ubj"])
def test_real_boosters_pass_and_cut_ones_do_not(models: dict[str, bytes], kind: str) -> None:
    data = models[kind]
    booster_files.refuse_odd(data, kind)
    for place in (0.1, 0.5, 0.9, 0.999):
        with pytest.raises(Refusal):
            booster_files.refuse_odd(data[: int(len(data) * place)], kind)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["xgboost_json", "xgboost_ubj"]))
def test_damage_is_refused_or_harmless_and_never_an_accident(
    models: dict[str, bytes], data: st.DataObject, kind: str
) -> None:
    changed = bytearray(models[kind][:4000])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with pytest.raises(Refusal):
        booster_files.refuse_odd(bytes(changed), kind)
