"""What every driver promises."""

from abc import ABC, abstractmethod
from collections.abc import Collection

from worker.errors import ToolError
from worker.specs import CheckLine, Message, Node, ReplicaSpec, ReplicaStats, ReplicaStatus, gettext_noop


class Driver(ABC):
    """The few verbs of a place where replicas run.

    * A replica is its name: starting a name that runs already is a success and changes nothing.
    * Nothing is started whose bytes are not those of the digest.
    * What needs a wall is started behind one or not at all: ToolError ``no_wall`` (permanent).
    * Stopping what is gone is a success; after a stop the name is ``gone`` and can be used again.
    * What runs goes on when the worker ends, and every later driver of the same target finds it.
    * Only what carries our instance label is listed, and only what was named is touched.
    * How a replica ends is never an error here: it is a status with kind, reason and the log line that shows it.

    Every verb may raise ToolError for a target that cannot be reached; no other exception leaves a driver.
    """

    is_walled = False  # whether what runs here is kept from the network, the files and the memory of others

    def refuse_unwalled(self, spec: ReplicaSpec) -> None:
        """For ``start``: a model of tier 2 does not run where nothing holds it."""
        if spec.needs_wall and not self.is_walled:
            words = gettext_noop(
                "This model runs by an exception, and only behind a sandbox; this target has none. Choose a target that"
                " has, or install bubblewrap there."
            )
            raise ToolError(Message(words), kind="no_wall", permanent=True)

    @abstractmethod
    def check(self) -> list[CheckLine]:
        """Look at the target and say what is fine and what is not; changes nothing."""

    @abstractmethod
    def nodes(self) -> list[Node]:
        """The machines of the target with what they have and what is free."""

    @abstractmethod
    def start(self, spec: ReplicaSpec) -> ReplicaStatus:
        """Start one replica; ToolError ``digest_mismatch`` (permanent) where its bytes changed."""

    @abstractmethod
    def stop(self, name: str, drain_seconds: float) -> None:
        """End one replica: ask, wait as long as it may drain, then insist. Returns once it is gone."""

    def stop_copy(self, name: str, node: str, drain_seconds: float) -> None:
        """End the copy of a replica on one machine, where another has one too. Kinds that never have two need not."""
        self.stop(name, drain_seconds)

    def absent(self) -> frozenset[str]:
        """The machines that did not answer when this driver looked last: what ran there may run still."""
        return frozenset()

    @abstractmethod
    def status(self, name: str) -> ReplicaStatus:
        """What one replica does now; ``gone`` where there is none of that name."""

    @abstractmethod
    def logs(self, name: str, *, lines: int = 200, since: float = 0.0) -> list[str]:
        """The last lines a replica wrote, oldest first; ``since`` is seconds since the epoch."""

    @abstractmethod
    def stats(self, name: str) -> ReplicaStats | None:
        """What a replica has used since it started; None where it does not run."""

    def tidy(self, instance: str, kept: Collection[str], repository: str, *, is_dry: bool = False) -> list[str]:
        """Take away images of ours that nothing refers to any more, and what a lost worker left; names of what went.

        An image is ours by its label and its place: every name of it is below ``repository``. It stays while ``kept``
        has its digest or a container is made of it. Kinds that leave nothing behind need not.
        """
        return []

    @abstractmethod
    def list_owned(self, instance: str) -> list[ReplicaStatus]:
        """Every replica whose label ``instance`` is this, running or not, by name; one on two machines twice."""
