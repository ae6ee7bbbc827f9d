"""What every notifier promises, and what the operator of the installation decides for all of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from worker.specs import ChannelSpec, Notice, Receipt


@dataclass(frozen=True)
class MailSettings:
    """The mail server that carries our messages; an empty host means that there is none."""

    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    security: str = ""  # starttls, tls, or empty for neither
    sender: str = "slipway@localhost"


@dataclass(frozen=True)
class NotifierSettings:
    allowed_hosts: tuple[str, ...] = ()  # host:port of receivers that may have a private address or another port
    ca_bundle: str = ""  # a file of certificates to trust besides the machine's own
    mail: MailSettings = field(default_factory=MailSettings)


class Notifier(ABC):
    """Delivers one notice to one channel.

    * A receipt means that the other side took it; everything else is a ToolError.
    * ``permanent`` is true only where the same delivery cannot succeed later: a wrong address, a refusal for good.
    * The notice's key travels along, so that a receiver can tell a repeated delivery from a new one.
    * It returns within about ten seconds.
    """

    def __init__(self, settings: NotifierSettings) -> None:
        self.settings = settings

    @abstractmethod
    def send(self, channel: ChannelSpec, notice: Notice) -> Receipt: ...
