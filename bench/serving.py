"""What serves a bench: the fast stand-in, or the embedded parts in its place."""

from __future__ import annotations

from typing import TypeAlias

from bench.ministack import Ministack
from bench.stand_in.process import StandIn

Server: TypeAlias = StandIn | Ministack


def server(*, ministack: bool) -> Server:
    """The one or the other, not started yet."""
    return Ministack() if ministack else StandIn()
