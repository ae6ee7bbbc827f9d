"""Finding models again: by words in any script, by facets that count right, page by page without gaps or repeats."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as some
from rest_framework.test import APIClient

from apps.core import keyset
from apps.core.errors import Invalid
from apps.library import index, selectors, shapes
from apps.library import services as library
from apps.library.facets import FACETS, ModelFilter, Traits, tally
from apps.library.index import words
from apps.library.models import MLModel, ModelVersion
from apps.library.running import running_models
from apps.library.serializers import ModelOut, VersionOut, VersionShort
from tests.cast import Cast
from tests.library.test_pages import page
from tests.monitoring.traffic import serving

Make = Callable[..., ModelVersion]
BASE = "/api/v1/projects/digits-team/models/"
PAGES = "/p/digits-team/models/"


@pytest.fixture
def shelf(cast: Cast, upload_version: Make) -> dict[str, MLModel]:
    """Six models of many kinds."""
    told: dict[str, dict[str, Any]] = {
        "fraud-detector": {"description": "Finds stolen cards", "task": "classification", "tags": ["finance"]},
        "fraud": {"description": "The older one", "task": "classification", "tags": ["finance", "demo"]},
        "xgboost-churn": {"description": "Who leaves", "task": "regression", "tags": ["weekly"]},
        "ziffern": {"description": "Erkennt Ziffern, auch größere", "tags": ["手写识别"]},
        "cards": {"description": "Reads fraud reports", "tags": []},
        "wine": {"description": "Quality of reds"},
    }
    dana = cast.actor("dana")
    made = {
        name: library.create_model(actor=dana, project=cast.project, name=name, **facts) for name, facts in told.items()
    }
    library.create_model(actor=cast.actor("sam"), project=cast.elsewhere, name="fraud-elsewhere")
    upload_version(model=made["wine"], card="# Wine\n\n葡萄酒质量预测 for Sommeliers, scored by experts.")
    return made


def found(cast: Cast, text: str) -> list[str]:
    return [one.name for one in index.find(cast.project.pk, text)]


def test_names_come_first_and_nearer_ones_before(cast: Cast, shelf: dict[str, MLModel]) -> None:
    assert found(cast, "fraud") == ["fraud", "fraud-detector", "cards"]
    assert found(cast, "fraud-det") == ["fraud-detector"]
    assert found(cast, "Fraud finance") == found(cast, "FINANCE fraud")
    assert set(found(cast, "fraud finance")) == {"fraud", "fraud-detector"}


WORDS = {
    "boost": "xgboost-churn",  # from any letter of a name on
    "手写": "ziffern",  # two characters out of four
    "识别": "ziffern",
    "葡萄酒质量": "wine",  # in a card
    "质量预测": "wine",
    "sommelier": "wine",
    "grossere": "ziffern",  # without accents, ß as ss
    "Größ": "ziffern",
    "stolen cards": "fraud-detector",
    "regress": "xgboost-churn",  # a task
}


def test_words_are_found_wherever_they_stand(cast: Cast, shelf: dict[str, MLModel]) -> None:
    for text, name in WORDS.items():
        assert name in found(cast, text), text


def test_what_is_not_there_is_not_found(cast: Cast, shelf: dict[str, MLModel]) -> None:
    for text in (
        "",
        "   ",
        "!!!",
        "识手",
        "elsewhere",
        "stolen-reds",
        '" OR 1',
        "NEAR(wine reds)",
        "zz:*",
        "'",
        "\\",
        "%",
        "\x00",
    ):
        assert found(cast, text) == [], text


def test_owners_are_found_by_the_name_they_have_now(cast: Cast, shelf: dict[str, MLModel]) -> None:
    assert len(found(cast, "dana")) == len(found(cast, "dana@example.com")) == 7
    assert found(cast, "dana wine") == ["wine"]
    user = cast.user("dana")
    user.name = "Ludmila"
    user.save()
    assert len(found(cast, "ludm")) == 7


def test_the_index_follows_what_is_said(cast: Cast, shelf: dict[str, MLModel]) -> None:
    library.edit_model(actor=cast.actor("dana"), model=shelf["cards"], description="Sorts letters", tags=["mail"])
    assert found(cast, "mail") == ["cards"]
    assert found(cast, "reports") == []
    version = ModelVersion.objects.get(model=shelf["wine"])
    library.edit_card(actor=cast.actor("dana"), version=version, card="# Wine\n\nNothing else.", base=1)
    assert found(cast, "sommelier") == []


@given(some.text(max_size=60))
def test_any_text_can_be_cut_into_words(text: str) -> None:
    cut = words.split(text)
    assert all(word and len(word) <= words.MAX_LENGTH and not set(word) & set("\"' \\:&|!()<>*@") for word in cut)
    assert words.split(" ".join(cut)) == cut


@given(some.text(max_size=30))
@pytest.mark.django_db
def test_any_text_can_be_searched_for(text: str) -> None:
    assert index.find(1, text) == []


def traits(**values: str) -> Traits:
    return Traits(**{name: (values.get(name, ""),) for name in FACETS})


def test_facets_count_under_all_filters_but_their_own() -> None:
    rows = [
        traits(state="ready", framework="onnx"),
        traits(state="ready", framework="xgboost"),
        traits(state="refused", framework="onnx"),
        traits(state="refused", framework="lightgbm"),
    ]
    seen = tally(rows, ModelFilter(state="ready", framework="onnx"))
    counts = {name: {facet.value: facet.count for facet in seen.facets[name]} for name in ("state", "framework")}
    assert seen.count == 1
    assert counts == {"state": {"ready": 1, "refused": 1}, "framework": {"onnx": 1, "xgboost": 1}}
    assert seen.without == {"state": 2, "framework": 2}
    nothing = tally(rows, ModelFilter(state="retired"))
    assert (nothing.count, nothing.without) == (0, {"state": 4})
    assert [facet.value for facet in nothing.facets["state"] if facet.is_chosen] == ["retired"]


def test_what_runs_is_a_facet(cast: Cast, queue: list[Any], api: Callable[[str], APIClient]) -> None:
    deployment = serving(cast, live_at=timezone.now())
    library.create_model(actor=cast.actor("dana"), project=cast.project, name="idle")
    assert running_models(cast.project) == {deployment.release.version.model_id}

    def names(**query: str) -> list[str]:
        return [row["name"] for row in api("vic").get(BASE, query).json()["results"]]

    assert names(running="no") == ["idle"]
    assert names(running="yes") == [deployment.release.version.model.name]


def test_an_empty_list_says_how_to_widen_it(browser: Callable[[str], Client], shelf: dict[str, MLModel]) -> None:
    shown = page(browser("vic"), f"{PAGES}?task=regression&tag=finance")
    assert "No model fits" in shown
    assert "Without Task: regression" in shown
    assert 'data-copy="http://testserver/p/digits-team/models/?task=regression&amp;tag=finance"' in shown


def test_pages_follow_without_gaps_or_repeats(api: Callable[[str], APIClient], shelf: dict[str, MLModel]) -> None:
    client = api("vic")
    for ordering, search in itertools.product(("", "name", "-name", "updated", "-created", "-owner"), ("", "dana")):
        follow_pages(client, {"ordering": ordering, "search": search})


def follow_pages(client: APIClient, query: dict[str, str]) -> None:
    """From the first page to the last and back again."""
    whole = [row["name"] for row in client.get(BASE, query).json()["results"]]
    answer = client.get(BASE, {**query, "page_size": 2}).json()
    pages, backwards = [answer], []
    while answer["next"]:
        answer = client.get(answer["next"]).json()
        pages.append(answer)
    assert [row["name"] for one in pages for row in one["results"]] == whole, query
    assert {one["count"] for one in pages} == {7}
    while answer["previous"]:
        answer = client.get(answer["previous"]).json()
        backwards.insert(0, answer)
    assert [one["results"] for one in backwards] == [one["results"] for one in pages[:-1]], query
    assert pages[0]["previous"] is None


def test_what_is_added_meanwhile_moves_nothing(
    cast: Cast, digits: MLModel, upload_version: Make, api: Callable[[str], APIClient]
) -> None:
    for _number in range(4):
        upload_version()
    client = api("vic")
    first = client.get(f"{BASE}digits/versions/", {"page_size": 2}).json()
    upload_version()
    second = client.get(first["next"]).json()
    assert [row["version"] for row in first["results"] + second["results"]] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "W10", "eyJhIjoxfQ", "WyJhZnRlciIsMSxbInkiXV0", "WyJhZnRlciIsMSxbIngiLDEsMl1d", "é"]
)
def test_a_cursor_that_is_not_ours_is_refused(
    api: Callable[[str], APIClient], upload_version: Make, cursor: str
) -> None:
    upload_version()
    for address in (f"{BASE}digits/versions/", BASE):
        assert api("vic").get(address, {"cursor": cursor}).status_code in (200, 422)
    with pytest.raises(Invalid):
        keyset.cut(ModelVersion.objects.order_by("-number"), "WyJhZnRlciIsMSxbInkiXV0", 10)


def test_a_page_costs_the_same_wherever_it_is(
    cast: Cast, digits: MLModel, django_assert_num_queries: Any, upload_version: Make
) -> None:
    for _number in range(3):
        upload_version()
    rows = selectors.list_versions(cast.actor("vic"), digits)
    with django_assert_num_queries(2):  # the page and the count
        first = keyset.cut(rows, "", 1)
    with django_assert_num_queries(1) as captured:
        keyset.cut(rows, first.next, 1)
    assert "OFFSET" not in captured[0]["sql"]


def test_answers_have_the_shape_that_the_schema_promises(
    cast: Cast, api: Callable[[str], APIClient], upload_version: Make
) -> None:
    upload_version(parent=upload_version())
    cache.clear()
    client = api("vic")
    assert list(client.get(BASE).json()["results"][0]) == ModelOut.Meta.fields
    assert set(client.get(f"{BASE}digits/versions/").json()["results"][0]) == set(VersionShort.Meta.fields)
    assert set(client.get(f"{BASE}digits/versions/2/").json()) == set(VersionOut.Meta.fields)
    assert set(shapes.SHORT) | {"model", "version", "uploaded_by"} == set(VersionShort.Meta.fields)
