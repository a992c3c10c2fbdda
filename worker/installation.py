"""The installation: every part of the worker, put together from settings, clients and a clock.

This is the one place where parts meet. Each part is made when it is first asked for.
"""

from __future__ import annotations

import os
import random
import secrets
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from producers.fan_out import FanOut
from producers.outbox import Outbox
from producers.queues import Queue
from worker.availability import WatchedClient
from worker.connections import Connections
from worker.consumer.backoff import Backoff
from worker.consumer.consumer import Consumer, Pace
from worker.consumer.dispatch import Dispatch, Handlers
from worker.consumer.pulse import Pulse
from worker.consumer.queue_figures import QueueFigures
from worker.consumer.scale_in import ScaleInProtection
from worker.examination import Examination
from worker.expected import ExpectedFacts, MissingRows
from worker.handlers.bill_month import BillMonthHandler
from worker.handlers.file_processed import FileProcessedHandler
from worker.handlers.settle_fact import SettleFactHandler
from worker.handlers.size_customer import SizeCustomerHandler
from worker.handlers.stripe_event import StripeEventHandler
from worker.handlers.tick import TickHandler
from worker.health import heartbeat_file
from worker.jobs import Jobs
from worker.lagging_rows import LaggingRows
from worker.late_refusals import LateRefusals
from worker.ledger.fact import FactKind
from worker.metrics import Metric
from worker.month_rows import MonthRows
from worker.reconciliation.comparison import Reconciliation
from worker.reconciliation.watch import Watch
from worker.settlement import SendPolicy, Settlement
from worker.stripe_api.meter_events import StripeMeterEvents
from worker.stripe_api.subscriptions import StripeSubscriptions
from worker.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.consumer.side_job import SideJob


class Installation(Connections):
    """Everything that one process needs, wired."""

    @cached_property
    def settlement(self) -> Settlement:
        """Brings facts to Stripe."""
        return Settlement(
            ledger=self.ledger,
            events=StripeMeterEvents(self.stripe, self.circuit),
            examination=self.examination,
            invoices=self.invoices,
            turns=self.turns,
            account=self.stripe.account,
            likely_account=self.stripe.likely_account,
            trip=self.circuit.trip,
            clock=self.clock,
            claim=timedelta(seconds=self.settings.claim_seconds),
            policy=SendPolicy(self.settings.send, self.settings.bill_from),
            controls=self.controls.current,
            tokens=lambda: secrets.token_hex(8),
            jitter=random.random,
        )

    @cached_property
    def month_rows(self) -> MonthRows:
        """Lets the usage rows follow the ledger."""
        return MonthRows(ledger=self.ledger, daily=self.daily, monthly=self.monthly)

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The ledger against Stripe."""
        return Reconciliation(
            ledger=self.ledger,
            summaries=self.summaries,
            invoices=self.invoices,
            subscriptions=StripeSubscriptions(self.stripe, self.metered_prices),
            account=self.stripe.account,
            lagging=self.lagging_rows,
            customers=self.customer_ids,
            daily=self.daily,
            expected=ExpectedFacts(daily=self.daily, ledger=self.ledger),
            event_names={
                FactKind.STORAGE: self.settings.storage_event_name,
                FactKind.FILE: self.settings.file_event_name,
            },
            clock=self.clock,
        )

    def fan_out(self, *, dry_run: bool = False) -> FanOut:
        """Puts messages on queues, or only counts them."""
        outbox = None if dry_run else Outbox(self.clients.sqs, sleep=self.clock.sleep)
        return FanOut(outbox, self.queues)

    def jobs(self, *, dry_run: bool = False) -> Jobs:
        """What ticks and operators set going."""
        return Jobs(
            fan_out=self.fan_out(dry_run=dry_run),
            customers=self.customer_ids,
            daily=self.daily,
            ledger=self.ledger,
            cursors=self.cursors,
            sweep=Sweep(
                history=self.history,
                ledger=self.ledger,
                listing=self.listing,
                prefixes=self.prefixes,
                bucket=self.settings.bucket,
            ),
            expected=ExpectedFacts(daily=self.daily, ledger=self.ledger),
            examination=self.examination,
            reports=self.error_reports,
            clock=self.clock,
        )

    @cached_property
    def examination(self) -> Examination:
        """Asks Stripe's summaries about facts."""
        return Examination(
            ledger=self.ledger,
            summaries=self.summaries,
            account=self.stripe.account,
            lagging=self.lagging_rows,
            clock=self.clock,
        )

    @cached_property
    def lagging_rows(self) -> LaggingRows:
        """Asks again for facts whose rows do not say that they count."""
        return LaggingRows(monthly=self.monthly, history=self.history, fan_out=self.fan_out())

    @cached_property
    def dispatch(self) -> Dispatch:
        """Gives messages to their handlers."""
        settings = self.settings
        return Dispatch(
            Handlers(
                size_customer=SizeCustomerHandler(
                    measuring=self.measuring,
                    prefixes=self.prefixes,
                    measurer=self.measurer,
                    daily=self.daily,
                    month_rows=self.month_rows,
                    clock=self.clock,
                    recorded=lambda: self.metrics.gather(Metric.DAILY_ROWS),
                ),
                bill_month=BillMonthHandler(
                    settlement=self.settlement,
                    daily=self.daily,
                    monthly=self.monthly,
                    month_rows=self.month_rows,
                    clock=self.clock,
                    event_name=settings.storage_event_name,
                    stamp=settings.event_timestamp,
                    average_over=settings.average_over,
                    grace=timedelta(hours=settings.stripe_grace_hours),
                ),
                file_processed=FileProcessedHandler(
                    settlement=self.settlement,
                    history=self.history,
                    listing=self.listing,
                    prefixes=self.prefixes,
                    fan_out=self.fan_out(),
                    clock=self.clock,
                    bucket=settings.bucket,
                    event_name=settings.file_event_name,
                ),
                tick=TickHandler(
                    jobs=self.jobs(),
                    watch=Watch(
                        reconciliation=self.reconciliation,
                        metrics=self.metrics,
                        clock=self.clock,
                    ),
                    backlog=self.backlog,
                    metrics=self.metrics,
                    missing_rows=MissingRows(self.customer_ids, self.daily),
                    clock=self.clock,
                ),
                stripe_event=StripeEventHandler(
                    reports=self.error_reports,
                    refusals=LateRefusals(self.ledger, self.clock),
                    jobs=self.jobs(),
                ),
                settle_fact=SettleFactHandler(
                    settlement=self.settlement,
                    ledger=self.ledger,
                    month_rows=self.month_rows,
                    clock=self.clock,
                ),
            ),
            self.circuit,
            self.gate,
            self.clock,
        )

    def consumer(
        self,
        consumed: Sequence[Queue] = tuple(Queue),
        *,
        until_empty: bool = False,
        side_jobs: Sequence[SideJob] = (),
    ) -> Consumer:
        """A consumer of those queues; ``until_empty`` ends it when nothing is left."""
        return Consumer(
            sqs=self.clients.sqs,
            renewing_sqs=self.clients.renewals,
            queues=self.queues,
            consumed=consumed,
            dispatch=self.dispatch,
            company=self.together,
            gate=self.gate,
            backoff=Backoff(random.random),
            clock=self.clock,
            pace=Pace(
                concurrency=self.settings.concurrency,
                visibility_seconds=self.settings.visibility_seconds,
                drain_seconds=self.settings.drain_seconds,
                until_empty=until_empty,
            ),
            side_jobs=side_jobs,
            watches=(WatchedClient(self.clients.dynamodb, self.dynamodb_circuit),),
        )

    def side_jobs(self) -> tuple[SideJob, ...]:
        """What a worker does beside the messages: says how it is, and protects long work."""
        pulse = Pulse(heartbeat_file(), self.metrics, self.clock, self.settings.visibility_seconds)
        jobs: tuple[SideJob, ...] = (pulse, QueueFigures(self.backlog, self.metrics))
        # Set by ECS in every container.
        agent = os.environ.get("ECS_AGENT_URI")
        return jobs if agent is None else (*jobs, ScaleInProtection(agent, self.clock))
