"""Querysets that are compiled once and run many times."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from .expressions import GIVEN_LATER
from .sql import Row, array_literal, compile_queryset, execute, table_name


@dataclass(frozen=True)
class Prepared:
    """A compiled queryset in which a list is left open. Compiling a large one costs more than running it."""

    statement: str
    parameters: tuple[Any, ...]

    @classmethod
    def compile(cls, queryset: QuerySet[Any, Any]) -> "Prepared | None":
        """None when the queryset can have no rows."""
        compiled = compile_queryset(queryset)
        return cls(compiled[0], tuple(compiled[1])) if compiled else None

    @classmethod
    def of(cls, queryset: QuerySet[Any, Any]) -> "Prepared":
        """Like `compile`, of a queryset that can have rows."""
        sql, parameters = queryset.query.sql_with_params()
        return cls(sql, tuple(parameters))

    @classmethod
    def compile_count(cls, queryset: QuerySet[Any, Any]) -> "Prepared | None":
        """One row with the number of the queryset's rows; None when it can have none."""
        rows = cls.compile(queryset.values("pk"))
        return cls(f"SELECT count(*) FROM ({rows.statement}) AS counted", rows.parameters) if rows else None

    @classmethod
    def compile_counts(cls, querysets: Iterable[QuerySet[Any, Any]]) -> "Prepared":
        """One row with the number of rows of each queryset, for which the database is asked once."""
        counts = [cls.compile_count(queryset) or cls("0", ()) for queryset in querysets]
        return cls(
            "SELECT " + ", ".join(f"({count.statement})" for count in counts),
            tuple(parameter for count in counts for parameter in count.parameters),
        )

    def locking_key_share(self, model: type[Model]) -> "Prepared":
        """The same FOR KEY SHARE of `model`: its rows can change, but neither go nor be merged away."""
        return Prepared(f"{self.statement} FOR KEY SHARE OF {table_name(model)}", self.parameters)

    def run(self, values: Iterable[Any] = ()) -> list[Row]:
        literal = array_literal(values)
        return execute(self.statement, [literal if item is GIVEN_LATER else item for item in self.parameters])

    def run_each(self, lists: Iterable[Iterable[Any]]) -> list[Row]:
        """Run with a list of its own for each that was left open, in their order in the queryset."""
        literals = map(array_literal, lists)
        return execute(
            self.statement, [next(literals) if item is GIVEN_LATER else item for item in self.parameters]
        )
