"""A notifier that only collects, for tests and demonstrations; it can be told to fail."""

from dataclasses import dataclass, field

from worker.errors import ToolError
from worker.notifiers.base import Notifier
from worker.specs import ChannelSpec, Notice, Receipt


@dataclass
class FakePost:
    """What was delivered, and the error that the next deliveries end in."""

    sent: list[tuple[ChannelSpec, Notice]] = field(default_factory=list)
    error: ToolError | None = None

    def clear(self) -> None:
        self.sent.clear()
        self.error = None


WORLD = FakePost()


class FakeNotifier(Notifier):
    """Delivers into ``WORLD.sent``; ``WORLD.error`` makes every delivery fail until it is taken away."""

    def send(self, channel: ChannelSpec, notice: Notice) -> Receipt:
        if WORLD.error is not None:
            raise WORLD.error
        WORLD.sent.append((channel, notice))
        return Receipt(200, 0.0, "collected")
