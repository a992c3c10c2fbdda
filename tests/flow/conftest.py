"""An embedded AWS of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.embedded_aws import EmbeddedAws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def embedded_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws
