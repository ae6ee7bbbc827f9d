"""Mail over a real server, and what its refusals mean."""

import email
import socket
from collections.abc import Iterator
from email.message import Message

import pytest

from tests.worker.notifiers.receivers import MailServer, mail_server
from worker.errors import ToolError
from worker.notifiers.base import MailSettings, NotifierSettings
from worker.notifiers.registry import send
from worker.specs import ChannelSpec, Notice, Receipt

NOTICE = Notice("alert/7", "alert.firing", "2026-11-20T12:00:00Z", "Errors at 7 %\nBcc: x@y", "Fehler für „digits“",
                {"share": 0.07}, "https://slipway.example/alerts/7")  # fmt: skip


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def deliver(server: MailServer, to: object = "ops@example.org", **settings: str) -> Receipt:
    mail = MailSettings("127.0.0.1", server.port, sender="slipway@example.net", **settings)  # type: ignore[arg-type]
    return send(ChannelSpec("mail", {"to": to}), NOTICE, NotifierSettings(mail=mail))


def received(server: MailServer) -> Message:
    return email.message_from_bytes(server.messages[0].removesuffix(b"\r\n.\r\n"))


def test_a_message_arrives_with_what_happened(server: MailServer) -> None:
    assert deliver(server).status == 250
    message = received(server)
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "Fehler für „digits“\n\nshare: 0.07\n\nhttps://slipway.example/alerts/7" in body.decode().replace(
        "\r\n", "\n"
    )
    assert (message["From"], message["To"]) == ("slipway@example.net", "ops@example.org")
    assert message["Message-ID"] == "<alert-7@example.net>"
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_title_cannot_add_headers(server: MailServer) -> None:
    deliver(server)
    message = received(server)
    assert message["Bcc"] is None
    assert message["Subject"] == "Errors at 7 % Bcc: x@y"


def test_several_receivers_may_be_given_as_text_or_list(server: MailServer) -> None:
    deliver(server, "a@example.org, b@example.org")
    deliver(server, ["c@example.org"])
    assert server.receivers == ["a@example.org", "b@example.org", "c@example.org"]


def test_a_partly_refused_message_says_for_whom(server: MailServer) -> None:
    server.refused = {"b@example.org"}
    assert deliver(server, "a@example.org b@example.org").answer == "refused for b@example.org"


def test_a_refused_receiver_is_named_and_final(server: MailServer) -> None:
    server.refused = {"ops@example.org"}
    with pytest.raises(ToolError, match=r"ops@example\.org: no such user") as caught:
        deliver(server)
    assert (caught.value.kind, caught.value.permanent) == ("refused", True)


@pytest.mark.parametrize(("answer", "permanent"), [("451 later", False), ("554 never", True)])
def test_a_refused_message_is_final_where_the_server_says_so(server: MailServer, answer: str, permanent: bool) -> None:
    server.data_answer = answer
    with pytest.raises(ToolError, match=answer[4:]) as caught:
        deliver(server)
    assert (caught.value.kind, caught.value.permanent) == ("refused", permanent)


def test_a_refused_sign_in_does_not_show_the_password(server: MailServer) -> None:
    with pytest.raises(ToolError, match="user name or password") as caught:
        deliver(server, username="slipway", password="canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("to", ["", "ops", "a@b\r\nRCPT TO:<x@y>", "<a@b>", ["a@b", "c"], []])
def test_what_is_not_an_address_is_refused_before_anything_is_sent(server: MailServer, to: object) -> None:
    with pytest.raises(ToolError, match="not a mail address") as caught:
        deliver(server, to)
    assert caught.value.permanent
    assert server.messages == []


def test_a_server_that_is_away_may_come_back() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = MailServer(port=unused.getsockname()[1])
        with pytest.raises(ToolError, match="could not be reached") as caught:
            deliver(away)
    assert (caught.value.kind, caught.value.permanent) == ("unreachable", False)


def test_an_installation_without_mail_says_so() -> None:
    with pytest.raises(ToolError, match="No mail server"):
        send(ChannelSpec("mail", {"to": "ops@example.org"}), NOTICE)
