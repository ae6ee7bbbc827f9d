"""The library over HTTP: lists, one thing, making things once, and files on their way out."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from apps.audit.models import Entry
from apps.library import services as library
from apps.library.models import MLModel, ModelVersion, Upload
from tests.cast import Cast
from tests.library.conftest import ONNX

BASE = "/api/v1/projects/digits-team/models/"
SIGNED_IN = 7  # queries that a session costs: itself, its person, and noting when it was last seen
Make = Callable[..., ModelVersion]


@pytest.fixture
def dana(api: Callable[[str], APIClient]) -> APIClient:
    return api("dana")


def test_a_model_is_made_read_and_edited(dana: APIClient) -> None:
    made = dana.post(BASE, {"name": "digits", "task": "classification", "tags": ["Vision"]})
    assert (made.status_code, made["Location"]) == (201, f"{BASE}digits/")
    edited = dana.patch(f"{BASE}digits/", {"description": "Reads digits."})
    assert edited.json()["description"] == "Reads digits."
    read = dana.get(f"{BASE}digits/").json()
    assert (read["tags"], read["owner"], read["latest"]) == (["vision"], "dana@example.com", None)


def test_a_model_that_cannot_be_is_a_problem_by_field(dana: APIClient) -> None:
    answer = dana.post(BASE, {"name": "No Good"})
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert list(answer.json()["errors"]) == ["name"]
    assert dana.post(BASE, {}).json()["errors"] == {"name": ["This field is required."]}


def test_lists_are_searched_narrowed_and_ordered(cast: Cast, dana: APIClient, upload_version: Make) -> None:
    actor = cast.actor("dana")
    wine = library.create_model(
        actor=actor, project=cast.project, name="wine", description="Quality of reds", task="regression", tags=["手写"]
    )
    upload_version()
    upload_version(model=wine)
    ModelVersion.objects.filter(model=wine).update(state="ready", framework="xgboost")

    def names(**query: str) -> list[str]:
        return [row["name"] for row in dana.get(BASE, query).json()["results"]]

    assert names() == ["wine", "digits"]
    assert names(ordering="name") == ["digits", "wine"]
    assert names(search="quality wine") == ["wine"]
    assert names(search="手写") == names(tag="手写") == ["wine"]
    assert names(tag="手") == []
    assert sorted(names(search="dana")) == names(owner="dana@example.com", ordering="name") == ["digits", "wine"]
    assert names(search="dana", ordering="-updated") == ["wine", "digits"]
    assert names(framework="xgboost") == names(state="ready") == names(task="regression") == ["wine"]
    assert names(search="100%") == names(tag='"') == []
    latest = dana.get(BASE, {"search": "wine"}).json()["results"][0]["latest"]
    assert (latest["number"], latest["state"], latest["framework"]) == (1, "ready", "xgboost")


def test_a_version_is_made_of_an_upload(cast: Cast, dana: APIClient, digits: MLModel) -> None:
    upload = complete_upload(cast)
    answer = dana.post(f"{BASE}digits/versions/", {"upload": str(upload.pk), "labels": {"commit": "4f1c2aa"}})
    assert (answer.status_code, answer["Location"]) == (201, f"{BASE}digits/versions/1/")
    body = answer.json()
    assert (body["model"], body["version"], body["state"]) == ("digits", 1, "uploaded")
    assert [file["name"] for file in body["files"]] == ["digits.onnx"]
    assert Upload.objects.get().state == "used"


def test_a_version_is_made_of_small_files_in_a_form(dana: APIClient, digits: MLModel) -> None:
    form = {
        "file": [SimpleUploadedFile("digits.onnx", ONNX), SimpleUploadedFile("README.md", b"# Digits")],
        "labels": '{"commit": "4f1c2aa"}',
        "example": '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}',
        "description": "100 trees",
    }
    answer = dana.post(f"{BASE}digits/versions/", form, format="multipart")
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["card"], body["labels"], body["description"]) == ("# Digits", {"commit": "4f1c2aa"}, "100 trees")
    assert ModelVersion.objects.get().example["inputs"][0]["name"] == "x"  # type: ignore[index]
    assert Entry.objects.filter(action="version.uploaded").count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"upload": "not-an-id"}, 422),
        ({"upload": "8d0f6c8e-6a4f-4b8e-9a53-0d1f7a3a9a11"}, 404),
        ({"labels": ["a"]}, 422),
        ({"parent": "7"}, 404),
        ({"parent": "elsewhere/x"}, 404),
    ],
)
def test_a_version_out_of_nothing_is_refused(
    dana: APIClient, digits: MLModel, body: dict[str, Any], status: int
) -> None:
    answer = dana.post(f"{BASE}digits/versions/", body)
    assert answer.status_code == status
    assert ModelVersion.objects.count() == 0


def test_a_parent_is_named_by_number_or_by_model(cast: Cast, dana: APIClient, upload_version: Make) -> None:
    upload_version()
    for parent in ("1", "digits/1"):
        answer = dana.post(f"{BASE}digits/versions/", {"upload": str(complete_upload(cast).pk), "parent": parent})
        assert answer.json()["parent"] == "digits/1"


def test_the_same_key_and_body_are_answered_from_memory(cast: Cast, dana: APIClient, digits: MLModel) -> None:
    body = {"upload": str(complete_upload(cast).pk)}
    once = {"Idempotency-Key": "release-42"}
    first = dana.post(f"{BASE}digits/versions/", body, headers=once)
    again = dana.post(f"{BASE}digits/versions/", body, headers=once)
    assert (again.status_code, again.json(), again["Location"]) == (201, first.json(), first["Location"])
    assert again["Idempotent-Replayed"] == "true"
    assert ModelVersion.objects.count() == 1
    other = dana.post(f"{BASE}digits/versions/", {"description": "other"}, headers=once)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]


def test_a_call_that_failed_may_be_repeated_under_its_key(dana: APIClient) -> None:
    once = {"Idempotency-Key": "k"}
    assert dana.post(BASE, {"name": "No"}, headers=once).status_code == 422
    assert dana.post(BASE, {"name": "digits"}, headers=once).status_code == 201
    assert dana.post(BASE, {"name": "digits"}, headers={"Idempotency-Key": "x" * 256}).status_code == 422


def test_keys_of_different_people_do_not_meet(api: Callable[[str], APIClient]) -> None:
    once = {"Idempotency-Key": "k"}
    assert api("dana").post(BASE, {"name": "digits"}, headers=once).status_code == 201
    assert api("ada").post(BASE, {"name": "digits"}, headers=once).status_code == 422


def test_a_form_is_compared_by_its_content(dana: APIClient, digits: MLModel) -> None:
    once = {"Idempotency-Key": "k"}

    def send(data: bytes) -> int:
        form = {"file": [SimpleUploadedFile("digits.onnx", data)]}
        return int(dana.post(f"{BASE}digits/versions/", form, format="multipart", headers=once).status_code)

    assert [send(ONNX), send(ONNX), send(b"other")] == [201, 201, 422]
    assert ModelVersion.objects.count() == 1


def test_files_and_checks_are_listed(dana: APIClient, upload_version: Make) -> None:
    version = library.begin_examination(upload_version().pk)
    assert version is not None
    summary = {"text": "It is %(what)s.", "params": {"what": "ONNX"}}
    library.record_check(version, {"check": "content", "state": "passed", "summary": summary, "seconds": 0.2})
    [file] = dana.get(f"{BASE}digits/versions/1/files/").json()
    assert (file["name"], file["size"], file["role"]) == ("digits.onnx", len(ONNX), "source")
    checks = dana.get(f"{BASE}digits/versions/1/checks/").json()
    assert (checks[0]["check"], checks[0]["summary"], checks[0]["seconds"]) == ("content", "It is ONNX.", 0.2)
    assert checks[1]["state"] == "waiting"


def test_a_version_is_retired_and_restored(dana: APIClient, upload_version: Make) -> None:
    ModelVersion.objects.filter(pk=upload_version().pk).update(state="ready", served_format="onnx")
    assert dana.post(f"{BASE}digits/versions/1/retire/", {"note": "old"}).json()["state"] == "retired"
    assert dana.post(f"{BASE}digits/versions/1/retire/", {}).status_code == 409
    assert dana.post(f"{BASE}digits/versions/1/restore/", {}).json()["state"] == "ready"


@pytest.mark.parametrize("path", ["", "digits/", "digits/versions/", "digits/versions/1/", "digits/versions/1/files/"])
def test_another_projects_things_do_not_exist(api: Callable[[str], APIClient], upload_version: Make, path: str) -> None:
    upload_version()
    assert api("vic").get(f"{BASE}{path}").status_code == 200
    assert api("sam").get(f"{BASE}{path}").status_code == 404
    elsewhere = BASE.replace("digits-team", "elsewhere") + path
    assert api("sam").get(elsewhere).status_code == (404 if path else 200)


@pytest.mark.parametrize("name", ["vic", "rhea", "omar"])
def test_who_may_only_read_changes_nothing(api: Callable[[str], APIClient], upload_version: Make, name: str) -> None:
    upload_version()
    client = api(name)
    assert client.post(BASE, {"name": "mine"}).status_code == 403
    assert client.patch(f"{BASE}digits/", {"tags": []}).status_code == 403
    assert client.post(f"{BASE}digits/versions/1/retire/", {}).status_code == 403


def test_lists_ask_the_database_a_fixed_number_of_times(
    cast: Cast, dana: APIClient, upload_version: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        model = library.create_model(actor=cast.actor("dana"), project=cast.project, name=f"m{number}")
        upload_version(model=model)
        upload_version()
    dana.get(BASE)  # the first call of a session notes where it comes from
    with django_assert_max_num_queries(4 + SIGNED_IN):  # roles, project, count, page
        assert dana.get(BASE).json()["count"] == 6
    with django_assert_max_num_queries(5 + SIGNED_IN):  # and the model
        assert dana.get(f"{BASE}digits/versions/").json()["count"] == 5
    with django_assert_max_num_queries(5 + SIGNED_IN):  # roles, project, version, checks, files
        dana.get(f"{BASE}digits/versions/1/")


def complete_upload(cast: Cast, data: bytes = ONNX, name: str = "digits.onnx") -> Upload:
    dana, stream = cast.actor("dana"), io.BytesIO(data)
    upload = library.create_upload(actor=dana, project=cast.project, name=name, size=len(data))
    return library.receive(actor=dana, upload=upload, offset=0, length=len(data), read=stream.read)
