"""A signed POST to an address of the user's, as Standard Webhooks describes it (standardwebhooks.com, version 1)."""

import base64
import binascii
import hashlib
import hmac
import json
import time

from worker.errors import ToolError
from worker.notifiers.base import Notifier
from worker.notifiers.outbound import Answer, post
from worker.specs import ChannelSpec, Message, Notice, Receipt, gettext_noop

_WORTH_REPEATING = (408, 425, 429)
_PREFIX = "whsec_"


class WebhookNotifier(Notifier):
    """Config: ``url``. Secrets: ``secret``, and ``previous_secret`` while receivers change over to a new one."""

    def send(self, channel: ChannelSpec, notice: Notice) -> Receipt:
        body = payload(notice)
        headers = {"Content-Type": "application/json", "User-Agent": "Slipway"}
        headers |= sign(notice.key, int(time.time()), body, _secrets(channel))
        answer = post(
            str(channel.config.get("url", "")),
            body,
            headers,
            allowed=self.settings.allowed_hosts,
            ca_bundle=self.settings.ca_bundle,
        )
        text = _readable(answer.body)
        if not 200 <= answer.status < 300:
            raise _refused(answer, text)
        return Receipt(answer.status, answer.seconds, text)


def payload(notice: Notice) -> bytes:
    """The body: what happened, when, and the facts."""
    facts = {"title": notice.title, "text": notice.text, "url": notice.url, **notice.data}
    return json.dumps({"type": notice.event, "timestamp": notice.at, "data": facts}, separators=(",", ":")).encode()


def sign(key: str, timestamp: int, body: bytes, secrets: list[bytes]) -> dict[str, str]:
    """The three headers; one signature for each secret, newest first."""
    signed = f"{key}.{timestamp}.".encode() + body
    digests = [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]
    return {
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }


def _secrets(channel: ChannelSpec) -> list[bytes]:
    given = [channel.secrets.get(name, "") for name in ("secret", "previous_secret")]
    try:
        secrets = [base64.b64decode(each.removeprefix(_PREFIX), validate=True) for each in given if each]
    except (binascii.Error, ValueError):
        secrets = []
    if not all(secrets) or not secrets:
        words = gettext_noop("This channel has no usable signing secret. Make a new one on the channel's page.")
        raise ToolError(Message(words), kind="bad_secret", permanent=True)
    return secrets


def _refused(answer: Answer, text: str) -> ToolError:
    if 300 <= answer.status < 400:
        words = gettext_noop(
            "The receiver answered with a redirect (%(status)s), which is not followed: use its target."
        )
    else:
        words = gettext_noop("The receiver answered with status %(status)s.")
    is_permanent = answer.status < 500 and answer.status not in _WORTH_REPEATING
    return ToolError(Message(words, {"status": answer.status}), kind="refused", permanent=is_permanent, log=text)


def _readable(body: bytes) -> str:
    text = body[:2000].decode(errors="replace")
    return "".join(each if each.isprintable() else " " for each in text)[:500].strip()
