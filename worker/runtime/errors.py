"""What can go wrong, and who is told.

Refusal     one request cannot be answered; the client reads the message
StartError  this bundle cannot be served; the person who deployed it reads the message
"""


class Refusal(Exception):
    """An answer other than success: an HTTP status and a message that is safe and useful for the client."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class StartError(Exception):
    """Why the server cannot start; ``permanent`` where trying again with the same bundle and settings cannot help.

    ``facts`` go into the log beside the message, for programs that read it.
    """

    def __init__(self, message: str, *, permanent: bool = True, **facts: object) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.facts = facts
