"""Batches of PartiQL writes: each statement by itself, in any order, some of them throttled.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.expressions import ExpressionError
from tests.simulation.partiql import (
    MOST_STATEMENTS,
    StatementFailed,
    execute,
    key_named,
    parsed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.expressions import Item, Value
    from tests.simulation.process import Process
    from tests.simulation.tables import DynamoDB

    Keys = Callable[[str], tuple[str, ...] | None]

_GAP = 0.05


class Batch:
    """One batch.

    Args:
        statements: as `BatchExecuteStatement` takes them.
    """

    def __init__(self, statements: Sequence[Mapping[str, object]]) -> None:
        self._statements = [_read(statement) for statement in statements]

    @property
    def claims(self) -> bool:
        """Whether one of them claims a fact."""
        return any({"S": "sending"} in parameters for _, parameters, _ in self._statements)

    def execute(self, database: DynamoDB, process: Process) -> dict[str, object]:
        """Do all of it. Others see half a batch done; the process may die between two statements.

        Raises:
            ExpressionError: the batch is refused as a whole.
        """
        self._check(database)
        rng, told = process.rng, dict[int, dict[str, object]]()
        process.faults.reached["batch of writes"] += 1
        order = rng.sample(range(len(self._statements)), len(self._statements))
        refused = process.faults.strike("batch_refused", process.weather.throttled)
        refused_at = rng.choice(order) if refused else None
        for number in order:
            if number == refused_at:
                raise ExpressionError(
                    "the batch is refused as a whole, though a part of it is done"
                )
            told[number] = self._execute_one(number, database, process)
            if process.faults.strike("half_a_batch", _GAP):
                process.travel("between two statements of a batch")
        return {"Responses": [told[number] for number in range(len(self._statements))]}

    def _execute_one(self, number: int, database: DynamoDB, process: Process) -> dict[str, object]:
        text, parameters, all_old = self._statements[number]

        def read(name: str, attributes: Mapping[str, Value]) -> Item | None:
            return database[name].items.get(database[name].key_of(attributes))

        def write(name: str, item: Item) -> None:
            database[name].write(database[name].key_of(item), dict(item), process.name)

        item: Item | None = None
        code, there = "", None
        if process.faults.strike("statement_throttled", process.weather.throttled):
            code = "ThrottlingError"
        else:
            try:
                item = execute(text, parameters, key_of=_keys(database), read=read, write=write)
            except StatementFailed as failure:
                code, there = failure.code, failure.item
                process.faults.reached[f"statement failed: {code}"] += 1
        if process.history.kept:
            what = f"{text.split()[0]} {parameters}"
            process.history.note(process.scheduler.now, process.name, what, code)
        if not code:
            return {} if item is None else {"Item": item}
        problem: dict[str, object] = {"Code": code, "Message": code}
        if all_old and there is not None:
            problem["Item"] = there
        return {"Error": problem}

    def _check(self, database: DynamoDB) -> None:
        """Refuse a batch that is too long, not of writes alone, or names an item twice."""
        if len(self._statements) > MOST_STATEMENTS:
            raise ExpressionError("more than 25 statements")
        seen = set()
        for text, parameters, _ in self._statements:
            if text.upper().startswith("SELECT"):
                raise ExpressionError("reads in a batch: with writes refused, alone not simulated")
            try:
                table = parsed(text).table
                key = _keys(database)(table)
                named = (table, *key_named(text, parameters, key or ()))
            except StatementFailed:
                continue
            if named in seen and key is not None:
                raise ExpressionError("one item twice in one batch")
            seen.add(named)


def _keys(database: DynamoDB) -> Keys:
    return lambda name: database.tables[name].key if name in database.tables else None


def _read(statement: Mapping[str, object]) -> tuple[str, list[Value], bool]:
    text, parameters = statement["Statement"], statement.get("Parameters", ())
    assert isinstance(text, str)
    assert isinstance(parameters, (list, tuple))
    all_old = statement.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return text, list(parameters), all_old
