"""What a process that dies in the middle of an idempotent call leaves behind."""

from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches
from rest_framework.test import APIClient

from apps.audit.models import Entry
from apps.core import idempotency
from apps.library.models import MLModel
from tests.cast import Cast

MODELS = "/api/v1/projects/digits-team/models/"
ONCE = {"Idempotency-Key": "once"}


@pytest.fixture
def dana(cast: Cast) -> APIClient:
    client = APIClient()
    client.force_login(cast.user("dana"))
    return client


def post(client: APIClient) -> Any:
    return client.post(MODELS, {"name": "digits"}, headers=ONCE)


def test_a_process_that_dies_before_the_answer_is_kept_has_done_nothing(dana: APIClient) -> None:
    """Nothing of it is caught: SystemExit passes like a kill, with the mark of a running call left behind."""
    with mock.patch.object(caches["answers"], "set", side_effect=SystemExit), pytest.raises(SystemExit):
        post(dana)
    assert (MLModel.objects.count(), Entry.objects.count()) == (0, 0)
    assert post(dana).status_code == 409


def test_once_the_mark_is_forgotten_the_call_is_done(dana: APIClient) -> None:
    with (
        mock.patch.object(idempotency, "RUNNING_SECONDS", 0),
        mock.patch.object(caches["answers"], "set", side_effect=SystemExit),
        pytest.raises(SystemExit),
    ):
        post(dana)
    assert [post(dana).status_code for _ in range(2)] == [201, 201]
    assert (MLModel.objects.count(), Entry.objects.filter(action="model.created").count()) == (1, 1)


def test_the_answer_outlives_the_loss_of_the_shared_cache(dana: APIClient) -> None:
    assert post(dana).status_code == 201
    caches["default"].clear()
    assert post(dana)["Idempotent-Replayed"] == "true"
