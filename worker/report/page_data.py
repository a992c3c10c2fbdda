"""The figures that a report's page carries for its script: exact, and small.

Every exact figure travels as text: a script's numbers are floats. One object per customer; what is
zero, empty or plain is left out, so that ten thousand customers stay a few megabytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from producers.instant import format_instant
from worker.ledger.fact import FactKind
from worker.ledger.item import State
from worker.report.standing import IMPOSSIBLE, NOT_FROZEN, STANDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.ledger.item import LedgerItem
    from worker.reconciliation.line import Line
    from worker.report.month_report import MonthReport
    from worker.report.standing import Standing
    from worker.statement.statement import Statement
    from worker.tables.daily import DailyRow

    Json = str | int | bool | None | list["Json"] | dict[str, "Json"]

# Up to so many customers each day's parts are carried too, and not its total alone.
DETAILED_CUSTOMERS = 1_000
_NONE_YET = "none"
_PROBLEM = "problem"


def page_data(report: MonthReport) -> dict[str, Json]:
    """Everything that the script shows."""
    detailed = len(report.statements) <= DETAILED_CUSTOMERS
    currency, storage, file = report.prices.currency, report.prices.storage, report.prices.file
    return {
        "month": str(report.month),
        "days": len(report.month.days),
        "detailed": detailed,
        "only": report.only,
        "sign": currency.sign,
        "decimals": currency.decimals,
        "storagePrice": format(storage.amount, "f"),
        "unitBytes": str(storage.unit_bytes),
        "filePrice": format(file.amount, "f"),
        "standings": {
            _NONE_YET: _standing(NOT_FROZEN),
            _PROBLEM: _standing(IMPOSSIBLE),
            **{str(state): _standing(standing) for state, standing in STANDINGS.items()},
        },
        "customers": [_customer(one, report, detailed=detailed) for one in report.by_bill],
    }


def script_safe(data: Json) -> str:
    """JSON that ends no script element, whatever the texts in it hold.

    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _standing(standing: Standing) -> Json:
    return {"label": standing.label, "tone": standing.tone, "meaning": standing.meaning}


def state_of(statement: Statement) -> str:
    """The word under which a statement's standing is found."""
    if statement.problem is not None:
        return _PROBLEM
    if statement.storage is not None:
        return str(statement.storage.state)
    return _NONE_YET if statement.skipped is None else str(State.SKIPPED)


def _customer(one: Statement, report: MonthReport, *, detailed: bool) -> Json:
    basis = one.basis
    # Any kind of text is in it, so None is left out below and nothing else.
    entry: dict[str, Json] = {
        "id": one.customer_id,
        "state": state_of(one),
        "storage": str(one.storage_amount),
        "files": str(one.file_amount),
        "amount": str(one.amount),
        "units": str(one.prices.storage.units(one.storage_bytes)),
        "billedBytes": str(one.storage_bytes),
        "average": None if basis is None else str(basis.average),
        "peak": None if basis is None else str(basis.peak),
        "sum": None if basis is None else str(basis.total),
        "counted": None if basis is None else basis.days,
        "calendarDays": None if basis is None else basis.calendar_days,
        "gaps": [day.day for day in one.missing] or None,
        "runs": one.runs.billed or None,
        "leftOut": one.runs.left_out or None,
        "runBytes": str(one.runs.total_bytes) if one.runs.total_bytes else None,
        "trouble": len(one.troubled) or None,
        "notes": one.notes,
        "problem": one.problem,
        "skipped": one.skipped,
        "paused": one.paused,
        "differs": one.rows_differ or None,
        "corrections": [_correction(item) for item in one.corrections] or None,
        "fileCorrections": [_correction(item) for item in one.runs.corrections] or None,
        "event": None if one.storage is None else _event(one.storage),
        "daily": _daily(one.days),
        "marks": _marks(one) or None,
        "parts": [_parts(row) for row in one.days] if detailed else None,
        "runList": [_run(item) for item in one.runs.listed] or None,
        "stripe": [_line(line) for line in (report.stripe or {}).get(one.customer_id, ())] or None,
    }
    return {name: value for name, value in entry.items() if value is not None}


def _daily(rows: Sequence[DailyRow]) -> str:
    """``1:1073741824,2:…``: the bytes by day of the month."""
    return ",".join(f"{row.day.day}:{row.total_bytes}" for row in rows)


def _marks(one: Statement) -> dict[str, Json]:
    """What is to be said of a day besides its bytes."""
    counted = one.averaged_days
    marks: dict[str, Json] = {}
    for row in one.days:
        said = []
        if row.rebuilt:
            said.append(f"rebuilt from object versions on {row.measured_on}")
        elif row.measured_on is not None:
            said.append(f"measured on {row.measured_on}, as things were then")
        if row.day.day not in counted:
            said.append("came after the month was billed; not in the average")
        if said:
            marks[str(row.day.day)] = "; ".join(said)
    return marks


def _parts(row: DailyRow) -> Json:
    """Uploaded and produced bytes, uploaded and produced files."""
    uploaded, produced = row.uploaded, row.produced
    return [
        None if uploaded is None else str(uploaded.total_bytes),
        None if produced is None else str(produced.total_bytes),
        None if uploaded is None else str(uploaded.objects),
        None if produced is None else str(produced.objects),
    ]


def _event(item: LedgerItem) -> Json:
    entry: dict[str, Json] = {
        "identifier": item.identifier,
        "stamped": format_instant(item.fact.stamped_at),
        "frozen": format_instant(item.created_at),
        "value": str(item.fact.value),
    }
    if item.sent_at is not None:
        entry["sent"] = format_instant(item.sent_at)
    if item.last_error is not None:
        entry["error"] = item.last_error
    return entry


def _correction(item: LedgerItem) -> Json:
    """Bytes more or fewer, and who decided that and why."""
    correction = item.fact.correction
    said = "" if correction is None else f"{correction.by}: {correction.why}"
    return {"bytes": str(item.fact.value), "state": str(item.state), "said": said}


def _run(item: LedgerItem) -> Json:
    entry: dict[str, Json] = {
        "id": item.fact.subject,
        "at": format_instant(item.fact.stamped_at),
        "bytes": str(item.fact.value),
        "state": str(item.state),
    }
    if item.last_error is not None:
        entry["error"] = item.last_error
    return entry


def _line(line: Line) -> Json:
    return {
        "meter": line.event_name,
        "ledger": str(line.ledger_bytes),
        "stripe": None if line.stripe_bytes is None else str(line.stripe_bytes),
        "agrees": line.agrees,
        "problem": line.problem,
        "findings": [finding.text for finding in line.findings],
        "invoices": [
            f"{each.invoice_id} ({each.status}): {each.quantity:,} units"
            for bill in line.bills
            for each in bill.lines
        ],
    }


def kind_name(kind: FactKind) -> str:
    """A kind of fact as finance calls it."""
    return "storage" if kind is FactKind.STORAGE else "files"
