"""A message over the operator's mail server."""

import re
import smtplib
import ssl
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

from worker.errors import ToolError
from worker.notifiers.base import MailSettings, Notifier
from worker.specs import ChannelSpec, Message, Notice, Receipt, gettext_noop

_SECONDS = 10.0
_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[A-Za-z0-9.-]+")


class MailNotifier(Notifier):
    """Config: ``to``, one address or several."""

    def send(self, channel: ChannelSpec, notice: Notice) -> Receipt:
        settings = self.settings.mail
        if not settings.host:
            words = gettext_noop("No mail server is set up. Ask the operator to set one.")
            raise ToolError(Message(words), kind="not_set_up", permanent=True)
        receivers = addresses(channel.config.get("to", ""))
        started = time.monotonic()
        try:
            with _connect(settings, self.settings.ca_bundle) as server:
                refused = server.send_message(compose(notice, settings.sender, receivers))
        except (smtplib.SMTPException, OSError) as error:
            raise _explain(error, settings) from error
        answer = f"refused for {', '.join(sorted(refused))}" if refused else ""
        return Receipt(250, time.monotonic() - started, answer[:500])


def addresses(given: str | Sequence[str]) -> list[str]:
    """The receivers' addresses; ToolError ``bad_address`` (permanent) names the first that is none."""
    found = re.split(r"[,;\s]+", given.strip()) if isinstance(given, str) else list(given)
    for address in found or [""]:
        if not _ADDRESS.fullmatch(address):
            words = gettext_noop('"%(address)s" is not a mail address. Correct it on the channel\'s page.')
            raise ToolError(Message(words, {"address": address[:200]}), kind="bad_address", permanent=True)
    return found


def compose(notice: Notice, sender: str, receivers: Sequence[str]) -> EmailMessage:
    """The message; its id comes from the notice's key, so that a repeated delivery is recognised as the same."""
    message = EmailMessage()
    message["Subject"] = " ".join(notice.title.split())[:200]
    message["From"] = sender
    message["To"] = ", ".join(receivers)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9._-]', '-', notice.key)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    facts = "\n".join(f"{name}: {value}" for name, value in notice.data.items())
    message.set_content("\n\n".join(part for part in (notice.text, facts, notice.url, notice.at) if part) + "\n")
    return message


def _connect(settings: MailSettings, ca_bundle: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(ca_bundle)
    if settings.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=_SECONDS)
    if settings.security == "starttls":
        server.starttls(context=context)
    if settings.username:
        server.login(settings.username, settings.password)
    return server


def _explain(error: Exception, settings: MailSettings) -> ToolError:
    params = {"host": settings.host, "port": settings.port}
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        words = gettext_noop("The mail server %(host)s refused the address %(address)s: %(answer)s")
        params |= {"address": next(iter(error.recipients)), "answer": _text(text)}
        return ToolError(Message(words, params), kind="refused", permanent=code >= 500)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        words = gettext_noop(
            "The mail server %(host)s refused our user name or password. Ask the operator to check them."
        )
        return ToolError(Message(words, params), kind="refused", permanent=True)
    if isinstance(error, smtplib.SMTPResponseException):
        words = gettext_noop("The mail server %(host)s refused the message: %(answer)s")
        params |= {"answer": _text(error.smtp_error)}
        return ToolError(Message(words, params), kind="refused", permanent=error.smtp_code >= 500)
    words = gettext_noop("The mail server %(host)s:%(port)s could not be reached: %(reason)s")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ToolError(Message(words, params | {"reason": reason}), kind="unreachable")


def _text(answer: bytes | str) -> str:
    return (answer.decode(errors="replace") if isinstance(answer, bytes) else answer)[:300]
