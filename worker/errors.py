"""The one error that a tool raises.

ToolError
    permanent=True    trying again cannot help (a wrong digest, a refused name)
    permanent=False   the world may be better later (a host that does not answer)
"""

from worker.specs import Message


class ToolError(Exception):
    """What went wrong outside, in words for a person; ``kind`` is a stable word for programs and colours."""

    def __init__(self, message: Message | str, *, kind: str = "error", permanent: bool = False, log: str = "") -> None:
        self.message = message if isinstance(message, Message) else Message(message)
        self.kind = kind
        self.permanent = permanent
        self.log = log  # the line of the foreign log that shows it, where there is one
        super().__init__(str(self.message))
