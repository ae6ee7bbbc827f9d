"""Webhooks that any Standard Webhooks library accepts, and what each answer means."""

import base64
import json
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.worker.notifiers.receivers import Receiver, http_receiver
from worker.errors import ToolError
from worker.notifiers.base import NotifierSettings
from worker.notifiers.registry import open_notifier, send
from worker.specs import ChannelSpec, Notice

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret before this one").decode()
NOTICE = Notice(
    "alert-7-firing",
    "alert.firing",
    "2026-11-20T12:00:00Z",
    "Errors at 7 %",
    "digits: …",
    {"share": 0.07},
    "https://x/",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


def deliver(receiver: Receiver, **secrets: str) -> object:
    settings = NotifierSettings(allowed_hosts=(receiver.host,))
    channel = ChannelSpec("webhook", {"url": f"http://{receiver.host}/hook?a=1"}, secrets or {"secret": SECRET})
    return send(channel, NOTICE, settings)


def test_a_receiver_can_verify_what_it_gets(receiver: Receiver) -> None:
    receipt = deliver(receiver)
    assert (receipt.status, receipt.answer) == (200, "taken")  # type: ignore[attr-defined]
    path, headers, body = receiver.requests[0]
    assert path == "/hook?a=1"
    assert headers["Host"] == receiver.host
    verified = Webhook(SECRET).verify(body.decode(), {name.lower(): value for name, value in headers.items()})
    assert verified == json.loads(body)
    assert (verified["type"], verified["timestamp"]) == ("alert.firing", NOTICE.at)
    assert verified["data"] == {"title": NOTICE.title, "text": NOTICE.text, "url": NOTICE.url, "share": 0.07}


def test_a_changed_body_does_not_verify(receiver: Receiver) -> None:
    deliver(receiver)
    _, headers, body = receiver.requests[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.decode() + " ", {name.lower(): value for name, value in headers.items()})


def test_while_secrets_change_both_verify(receiver: Receiver) -> None:
    deliver(receiver, secret=SECRET, previous_secret=OLD_SECRET)
    _, headers, body = receiver.requests[0]
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(body.decode(), {name.lower(): value for name, value in headers.items()})


def test_repeated_deliveries_carry_the_same_id(receiver: Receiver) -> None:
    deliver(receiver)
    deliver(receiver)
    assert {headers["webhook-id"] for _, headers, _ in receiver.requests} == {NOTICE.key}


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (404, True), (410, True), (408, False), (429, False),
                              (500, False), (503, False), (302, True), (307, True)],
)  # fmt: skip
def test_each_answer_says_whether_trying_again_can_help(receiver: Receiver, status: int, permanent: bool) -> None:
    receiver.status, receiver.body = status, b"because \x1b[31m"
    receiver.headers = {"Location": f"http://{receiver.host}/elsewhere"} if status < 400 else {}
    with pytest.raises(ToolError, match=str(status)) as caught:
        deliver(receiver)
    assert (caught.value.kind, caught.value.permanent) == ("refused", permanent)
    assert caught.value.log == "because  [31m"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "ключ"])
def test_without_a_usable_secret_nothing_is_sent(receiver: Receiver, secret: str) -> None:
    with pytest.raises(ToolError, match="signing secret") as caught:
        deliver(receiver, secret=secret)
    assert caught.value.permanent
    assert receiver.requests == []


def test_kinds_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(ToolError, match="fake, mail, webhook"):
        open_notifier("pigeon")
