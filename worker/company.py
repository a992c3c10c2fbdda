"""Company: who works side by side, and on what."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Company(Protocol):
    """Who works side by side in a circle, such as all messages of a queue."""

    def expect(self, circle: str) -> None:
        """One more is about to work in a circle."""
        ...

    def excuse(self, circle: str) -> None:
        """One who was expected does not come."""
        ...

    def member(self, circle: str) -> AbstractContextManager[None]:
        """Work in a circle."""
        ...


class NoCompany:
    """Everybody works alone."""

    def expect(self, circle: str) -> None:
        """Nothing."""

    def excuse(self, circle: str) -> None:
        """Nothing."""

    def member(self, circle: str) -> AbstractContextManager[None]:  # noqa: ARG002 - one for all
        """Nothing."""
        return nullcontext()
