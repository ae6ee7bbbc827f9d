"""The one exception inside an examination: a file is refused, with the reason and the way out."""

from collections.abc import Mapping
from typing import Any

from worker.specs import Message


class Refusal(Exception):
    """Why a file is not accepted and what its uploader can do; never leaves this package."""

    def __init__(
        self, reason: Message, advice: Message | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        self.reason = reason
        self.advice = advice
        self.details = details or {}
        super().__init__(str(reason))
