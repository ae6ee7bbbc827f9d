"""What a loaded model promises, whatever its format."""

from collections.abc import Sequence
from typing import Protocol

from ..tensors import Array


class Rejected(Exception):
    """The model will not take these values: the client's fault, where any other exception is the model's."""


class Model(Protocol):
    """A model in memory.

    ``run`` takes one array for each input of the signature, in its order, and returns one for each output, in its
    order. It is called by one thread at a time. It may raise anything; ``Rejected`` means that the values are at fault.
    """

    detail: str  # how it runs, for the log: execution provider, library version

    def run(self, inputs: Sequence[Array]) -> list[Array]: ...
