"""Installations by their way to Stripe: seen without HTTP, or through the official library."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from pydantic import SecretStr

from infra.stripe_simulator import DEFAULT_KEY
from tests.simulation.installation import SimulatedInstallation
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import StripeConnection
from worker.stripe_api.pace import PacedRequests, pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.process import Process
    from tests.simulation.s3 import BucketPages
    from tests.simulation.stripe_line import StripeSeen
    from tests.simulation.stripe_transport import SimulatedTransport
    from worker.adjusting import Adjusting
    from worker.aws import AwsClients
    from worker.ledger.answer import Answer
    from worker.ledger.item import LedgerItem
    from worker.reconciliation.comparison import Reconciliation
    from worker.resending import Resending
    from worker.settings import Settings
    from worker.settlement import Settlement
    from worker.stripe_api.error_reports import StripeErrorReports
    from worker.stripe_api.invoices import StripeInvoices
    from worker.stripe_api.meter_events import StripeMeterEvents
    from worker.stripe_api.summaries import StripeSummaries


class LibraryInstallation(SimulatedInstallation):
    """The product's own Stripe code and the official library, on a transport that is simulated.

    Args:
        settings: the settings.
        clients: simulated.
        process: whose; also the clock.
        bucket_pages: the listing of S3.
        transport: carries requests.
    """

    def __init__(
        self,
        settings: Settings,
        clients: AwsClients,
        process: Process,
        bucket_pages: BucketPages,
        transport: SimulatedTransport,
    ) -> None:
        super().__init__(settings, clients, process, bucket_pages)
        self._transport = transport

    @cached_property
    def stripe(self) -> StripeConnection:
        """The connection to Stripe."""
        key = ApiKey(self.clients.secrets, "", SecretStr(DEFAULT_KEY))
        paced = PacedRequests(self._transport, pace(self.settings.stripe_share, self.clock))
        return StripeConnection(key, "https://stripe.invalid", lambda: paced)


class SeenInstallation(SimulatedInstallation):
    """Stripe as it is seen without HTTP, in the place of the product's Stripe code.

    Args:
        settings: the settings.
        clients: simulated.
        process: whose; also the clock.
        bucket_pages: the listing of S3.
        seen: Stripe.
    """

    def __init__(
        self,
        settings: Settings,
        clients: AwsClients,
        process: Process,
        bucket_pages: BucketPages,
        seen: StripeSeen,
    ) -> None:
        super().__init__(settings, clients, process, bucket_pages)
        self._seen = seen

    @cached_property
    def summaries(self) -> StripeSummaries:
        """What Stripe counted."""
        return cast("StripeSummaries", self._seen)

    @cached_property
    def error_reports(self) -> StripeErrorReports:
        """What Stripe took and did not count."""
        return cast("StripeErrorReports", self._seen)

    @cached_property
    def invoices(self) -> StripeInvoices:
        """What Stripe bills."""
        return cast("StripeInvoices", self._seen)

    @cached_property
    def stripe(self) -> StripeConnection:
        """Says whose key it is."""
        return cast("StripeConnection", self._seen)

    @cached_property
    def settlement(self) -> Settlement:
        """Brings facts to Stripe."""
        made = super().settlement
        noted = cast("StripeMeterEvents", made._events)._noted  # noqa: SLF001
        made._events = NotedLine(self._seen, noted)  # noqa: SLF001
        return made

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The ledger against Stripe."""
        made = super().reconciliation
        made._subscriptions = self._seen  # noqa: SLF001
        return made

    @property
    def adjusting(self) -> Adjusting:
        """Corrects and cancels what was billed."""
        made = super().adjusting
        made._customer_problem = self._seen.customer_problem  # noqa: SLF001
        return made

    @property
    def resending(self) -> Resending:
        """Starts the next generation of a fact."""
        made = super().resending
        made._customer_problem = self._seen.customer_problem  # noqa: SLF001
        return made


class NotedLine:
    """The line to Stripe, each answer of which the circuit is told of."""

    def __init__(self, line: StripeSeen, noted: Callable[[Answer], Answer]) -> None:
        self._line = line
        self._noted = noted

    def send(self, item: LedgerItem, token: str) -> Answer:
        """Make one call."""
        return self._noted(self._line.send(item, token))
