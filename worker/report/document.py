"""The report as one JSON document, for machines. Bytes are whole numbers, amounts are text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.instant import format_instant
from worker.report.page_data import kind_name
from worker.report.standing import became_of

if TYPE_CHECKING:
    from worker.ledger.item import LedgerItem
    from worker.report.month_report import MonthReport, Trouble
    from worker.report.page_data import Json
    from worker.statement.statement import Statement
    from worker.tables.daily import DailyRow


def document(report: MonthReport) -> dict[str, Json]:
    """All of it."""
    totals = report.totals
    return {
        "month": str(report.month),
        "ended": report.ended,
        "madeAt": format_instant(report.made_at),
        "currency": report.prices.currency.code,
        "totals": {
            "customers": totals.customers,
            "storageBytes": totals.storage_bytes,
            "storageAmount": str(totals.storage_amount),
            "runs": totals.runs,
            "runBytes": totals.run_bytes,
            "runsLeftOut": totals.left_out,
            "fileAmount": str(totals.file_amount),
            "amount": str(totals.amount),
            "missingDays": totals.missing_days,
            "customersWithoutFact": report.unbilled,
            "needsAPerson": report.needs_a_person,
        },
        "days": [
            {
                "date": day.day.isoformat(),
                "totalStorageBytes": day.total_bytes,
                "customersRecorded": day.recorded,
                "customersWithoutRow": list(day.without),
            }
            for day in report.days
        ],
        "facts": [
            {
                "kind": kind_name(each.kind),
                "state": str(each.state),
                "facts": each.facts,
                "bytes": each.total_bytes,
            }
            for each in report.states
        ],
        "troubles": [_trouble(each) for each in report.troubles],
        "method": {each.term: each.text for each in report.method},
        "customers": [_customer(one) for one in report.statements],
    }


def _trouble(trouble: Trouble) -> Json:
    item = trouble.item
    return {
        "customerId": trouble.statement.customer_id,
        "kind": "storage" if item is None else kind_name(item.fact.kind),
        "subject": str(trouble.statement.month) if item is None else item.fact.subject,
        "state": None if item is None else str(item.state),
        "bytes": None if item is None else item.fact.value,
        "reason": trouble.reason,
        "becameOf": None if item is None else became_of(item),
        "needsAPerson": trouble.needs_a_person,
    }


def _customer(one: Statement) -> Json:
    basis = one.basis
    return {
        "customerId": one.customer_id,
        "averageStorageBytes": None if basis is None else basis.average,
        "peakStorageBytes": None if basis is None else basis.peak,
        "dailyUsageSum": None if basis is None else basis.total,
        "totalStorageDays": 0 if basis is None else basis.days,
        "averagedOverDays": 0 if basis is None else basis.divisor,
        "missingDays": [day.isoformat() for day in one.missing],
        "storageBytesBilled": one.storage_bytes,
        "storageUnits": one.prices.storage.units(one.storage_bytes),
        "storageAmount": str(one.storage_amount),
        "runs": one.runs.billed,
        "runBytes": one.runs.total_bytes,
        "runsLeftOut": one.runs.left_out,
        "fileAmount": str(one.file_amount),
        "amount": str(one.amount),
        "fact": None if one.storage is None else _fact(one.storage),
        "corrections": [_correction(item) for item in (*one.corrections, *one.runs.corrections)],
        "rowsDiffer": one.rows_differ,
        "notes": one.notes,
        "skipped": one.skipped,
        "paused": one.paused,
        "problem": one.problem,
        "days": [_day(row) for row in one.days],
        "runList": [_fact(item) for item in one.runs.listed],
    }


def _correction(item: LedgerItem) -> Json:
    decided = item.fact.correction
    return {
        **_fact(item),
        "corrects": None if decided is None else decided.of,
        "cancels": None if decided is None else decided.cancels,
        "by": None if decided is None else decided.by,
        "why": None if decided is None else decided.why,
        "decidedAt": format_instant(item.created_at),
    }


def _day(row: DailyRow) -> Json:
    uploaded, produced = row.uploaded, row.produced
    return {
        "date": row.day.isoformat(),
        "totalStorageBytes": row.total_bytes,
        "totalStorageBytesInput": None if uploaded is None else uploaded.total_bytes,
        "totalStorageBytesOutput": None if produced is None else produced.total_bytes,
        "billingStatus": str(row.status),
        "measuredOn": row.measured_on,
        "measuredFrom": row.measured_from,
    }


def _fact(item: LedgerItem) -> dict[str, Json]:
    return {
        "subject": item.fact.subject,
        "identifier": item.identifier,
        "state": str(item.state),
        "value": item.fact.value,
        "stampedAt": format_instant(item.fact.stamped_at),
        "sentAt": None if item.sent_at is None else format_instant(item.sent_at),
        "lastError": item.last_error,
    }
