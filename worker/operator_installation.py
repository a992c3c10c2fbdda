"""What an operator's commands need besides the worker's own parts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from worker.adjusting import Adjusting
from worker.dead_letters.forecast import Forecaster
from worker.dead_letters.office import DeadLetterOffice
from worker.installation import Installation
from worker.inventory.audit import Audit
from worker.known_customers import KnownCustomers
from worker.price import price_list
from worker.report.making import ReportMaker
from worker.report.method import method
from worker.resending import Resending
from worker.settlement import SendPolicy
from worker.statement.reader import StatementReader
from worker.status.observer import Observer
from worker.status.row_counts import RowCounts
from worker.stripe_api.customers import customer_problem
from worker.stripe_api.own_prices import OwnPrices
from worker.stripe_api.subscriptions import StripeSubscriptions
from worker.tables.customers import has_customer
from worker.tables.plain_items import take_items_as_they_come

if TYPE_CHECKING:
    from worker.price import PriceList
    from worker.statement.statement import Statement
    from worker.stripe_api.own_prices import OwnAmounts


class OperatorInstallation(Installation):
    """The installation as commands open it. Each part is made when it is first asked for."""

    @cached_property
    def dead_letters(self) -> DeadLetterOffice:
        """Every errand with dead letters."""
        return DeadLetterOffice(
            sqs=self.clients.sqs,
            queues=self.queues,
            forecaster=Forecaster(
                ledger=self.ledger,
                daily=self.daily,
                monthly=self.monthly,
                history=self.history,
                listing=self.listing,
                prefixes=self.prefixes,
                clock=self.clock,
                bucket=self.settings.bucket,
                stamp=self.settings.event_timestamp,
                bill_from=self.settings.bill_from,
            ),
            prefixes=self.prefixes,
            clock=self.clock,
            visibility_seconds=self.settings.visibility_seconds,
        )

    @cached_property
    def known_customers(self) -> KnownCustomers:
        """Who has been heard of."""
        if self.settings.customer_source == "stripe":
            return KnownCustomers(
                self.daily,
                self.ledger,
                lambda customer: customer_problem(self.stripe, customer) is None,
                "Stripe",
            )
        table = self.tables.customers
        return KnownCustomers(
            self.daily,
            self.ledger,
            lambda customer: has_customer(self.clients.dynamodb, table, customer),
            f"the table {table}",
        )

    @cached_property
    def prices(self) -> PriceList:
        """What usage costs, by the settings."""
        return price_list(self.settings)

    @cached_property
    def statements(self) -> StatementReader:
        """What customers' months come to."""
        take_items_as_they_come(self.clients.dynamodb)
        return StatementReader(
            daily=self.daily,
            monthly=self.monthly,
            ledger=self.ledger,
            policy=SendPolicy(self.settings.send, self.settings.bill_from),
            controls=self.controls.current,
            stamp=self.settings.event_timestamp,
            prices=self.prices,
            average_over=self.settings.average_over,
            clock=self.clock,
        )

    def own_amounts(self, statement: Statement) -> OwnAmounts:
        """What a statement comes to at the customer's own prices, by Stripe."""
        subscriptions = StripeSubscriptions(self.stripe, self.metered_prices)
        return OwnPrices(self.stripe, subscriptions).amounts(
            statement.customer_id,
            {
                self.settings.storage_event_name: statement.storage_bytes,
                self.settings.file_event_name: statement.runs.total_bytes,
            },
            min(statement.month.closing_stamp, self.clock.now()),
        )

    @cached_property
    def observer(self) -> Observer:
        """Sees what goes on."""
        return Observer(
            backlog=self.backlog,
            queues=self.queues,
            counts=RowCounts(self.clients.dynamodb, self.tables),
            listings=self.checkpoints.under_way,
            ledger=self.ledger,
            stripe_problem=self.stripe.problem,
            controls=self.controls.read,
            count_customers=self.settings.customer_source == "dynamodb",
            clock=self.clock,
        )

    @cached_property
    def reports(self) -> ReportMaker:
        """Makes months' reports."""
        return ReportMaker(
            statements=self.statements,
            reconciliation=self.reconciliation,
            prices=self.prices,
            method=method(self.settings, self.prices),
            clock=self.clock,
        )

    @property
    def audit(self) -> Audit:
        """Compares rows with inventories."""
        return Audit(
            s3=self.clients.s3,
            daily=self.daily,
            customers=self.customer_ids,
            bucket=self.settings.bucket,
            prefixes=self.prefixes,
            every_version=self.settings.object_versions == "all",
            clock=self.clock,
        )

    @property
    def adjusting(self) -> Adjusting:
        """Corrects and cancels what was billed."""
        return Adjusting(
            ledger=self.ledger,
            daily=self.daily,
            invoices=self.invoices,
            account=self.stripe.account,
            customer_problem=lambda customer: customer_problem(self.stripe, customer),
            jobs=self.jobs(),
            clock=self.clock,
        )

    @property
    def resending(self) -> Resending:
        """Starts the next generation of a fact."""
        return Resending(
            ledger=self.ledger,
            examination=self.examination,
            account=self.stripe.account,
            customer_problem=lambda customer: customer_problem(self.stripe, customer),
            jobs=self.jobs(),
            clock=self.clock,
        )
