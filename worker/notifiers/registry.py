"""Which notifier a kind of channel has."""

from worker.errors import ToolError
from worker.notifiers.base import Notifier, NotifierSettings
from worker.notifiers.fake import FakeNotifier
from worker.notifiers.mail import MailNotifier
from worker.notifiers.webhook import WebhookNotifier
from worker.specs import ChannelSpec, Message, Notice, Receipt, gettext_noop

NOTIFIERS: dict[str, type[Notifier]] = {"webhook": WebhookNotifier, "mail": MailNotifier, "fake": FakeNotifier}


def open_notifier(kind: str, settings: NotifierSettings | None = None) -> Notifier:
    """The notifier of that kind; ToolError ``unknown_notifier`` (permanent) names those there are."""
    if kind not in NOTIFIERS:
        words = gettext_noop("There is no channel of kind %(kind)s. Kinds here: %(known)s.")
        known = ", ".join(sorted(NOTIFIERS))
        raise ToolError(Message(words, {"kind": kind, "known": known}), kind="unknown_notifier", permanent=True)
    return NOTIFIERS[kind](settings or NotifierSettings())


def send(channel: ChannelSpec, notice: Notice, settings: NotifierSettings | None = None) -> Receipt:
    """Deliver one notice to one channel, or raise ToolError."""
    return open_notifier(channel.kind, settings).send(channel, notice)
