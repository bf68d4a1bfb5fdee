"""Set statements that Django's ORM lacks, over querysets that it compiles. Nothing else writes SQL text.

Names of tables and columns come from model fields, values travel as parameters.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

import orjson
import psycopg
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.db.models import Field, ForeignObject, Func, IntegerField, JSONField, Lookup, Model, QuerySet
from psycopg.errors import DeadlockDetected

Row = tuple[Any, ...]
Result = TypeVar("Result")

DEADLOCK_TRIES = 5


class AnyOf(Lookup[Any]):
    """`field__any=[…]`: like `__in`, but the list is one parameter, however long it is."""

    lookup_name = "any"

    def get_prep_lookup(self) -> Any:
        return self.rhs if self.rhs is GIVEN_LATER else list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        column_type = self.lhs.output_field.rel_db_type(connection)
        values = self.rhs if self.rhs is GIVEN_LATER else array_literal(self.rhs)
        return f"{left} = ANY(%s::{column_type}[])", [*parameters, values]


class GivenLater:
    """Stands for the list of an `any` in a queryset that is compiled once and run with many lists."""


GIVEN_LATER = GivenLater()


@dataclass(frozen=True)
class Prepared:
    """A compiled queryset in which a list is left open. Compiling a large one costs more than running it."""

    statement: str
    parameters: tuple[Any, ...]

    @classmethod
    def compile(cls, queryset: QuerySet[Any, Any]) -> "Prepared | None":
        """None when the queryset can have no rows."""
        compiled = _compile(queryset)
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
        return Prepared(f"{self.statement} FOR KEY SHARE OF {_table(model)}", self.parameters)

    def run(self, values: Iterable[Any] = ()) -> list[Row]:
        literal = array_literal(values)
        return _execute(
            self.statement, [literal if item is GIVEN_LATER else item for item in self.parameters]
        )

    def run_each(self, lists: Iterable[Iterable[Any]]) -> list[Row]:
        """Run with a list of its own for each that was left open, in their order in the queryset."""
        literals = map(array_literal, lists)
        return _execute(
            self.statement, [next(literals) if item is GIVEN_LATER else item for item in self.parameters]
        )


Field.register_lookup(AnyOf)
ForeignObject.register_lookup(AnyOf)  # relations have a register of their own


class ElementAt(Func):
    """`ElementAt(array, index)`: an element of an array, counted from 1; null past its end."""

    template = "(%(expressions)s]"
    arg_joiner = ")["
    output_field = IntegerField()


class DaysBetween(Func):
    """`DaysBetween(later, earlier)`: whole days, where the ORM would make an interval of them."""

    template = "(%(expressions)s)"
    arg_joiner = " - "
    output_field = IntegerField()


def allocate_ids(model: type[Model], count: int) -> list[int]:
    """Take `count` new primary keys of `model`, so that rows that refer to each other can be written as sets."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
            [model._meta.db_table, _primary_key(model).column, count],
        )
        return [row[0] for row in cursor.fetchall()]


def copy_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Row]) -> int:
    """COPY rows into the table of `model`: the quickest insert, without conflict handling. Returns their number."""
    fields = [_field(model, name) for name in columns]
    jsonb = [index for index, field in enumerate(fields) if isinstance(field, JSONField)]
    count = 0
    with connection.cursor() as cursor:
        statement = f"COPY {_table(model)} ({_columns(fields)}) FROM STDIN"
        with cursor.copy(statement) as copy:
            for row in rows:
                if jsonb:
                    cells = list(row)
                    for index in jsonb:
                        cells[index] = _json_text(cells[index])
                    copy.write_row(cells)
                else:
                    copy.write_row(row)
                count += 1
    return count


def insert_rows(
    model: type[Model],
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    ignore_conflicts: bool = False,
    returning: Sequence[str] = (),
) -> list[Row]:
    """Insert rows in one statement; with `ignore_conflicts`, only the returned rows are new.

    Callers that race each other sort `rows` by the unique key first, or they deadlock.
    """
    if not rows:
        return []
    fields = [_field(model, name) for name in columns]
    source, parameters = _unnest(fields, rows)
    statement = f"INSERT INTO {_table(model)} ({_columns(fields)}) SELECT * FROM {source}"
    if ignore_conflicts:
        statement += " ON CONFLICT DO NOTHING"
    return _execute(statement + _returning(model, returning), parameters)


def upsert_rows(
    model: type[Model], columns: Sequence[str], rows: Sequence[Row], *, key: Sequence[str]
) -> None:
    """Insert rows in one statement; those whose unique `key` is known take the new values of the other columns."""
    if not rows:
        return
    fields = [_field(model, name) for name in columns]
    source, parameters = _unnest(fields, rows)
    _execute(
        f"INSERT INTO {_table(model)} ({_columns(fields)}) SELECT * FROM {source}"
        + _do_update(model, fields, key),
        parameters,
    )


def insert_select(
    model: type[Model],
    columns: Sequence[str],
    queryset: QuerySet[Any, Any],
    *,
    ignore_conflicts: bool = False,
    update_on: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[Row]:
    """INSERT … SELECT: the queryset's columns go, by position, into `columns`.

    With `update_on` (a unique key) a known row takes the new values of the other columns, where they differ.
    """
    compiled = _compile(queryset)
    if compiled is None:
        return []
    select, parameters = compiled
    fields = [_field(model, name) for name in columns]
    statement = f"INSERT INTO {_table(model)} ({_columns(fields)}) {select}"
    if update_on:
        statement += _do_update(model, fields, update_on)
    elif ignore_conflicts:
        statement += " ON CONFLICT DO NOTHING"
    return _execute(statement + _returning(model, returning), parameters)


def update_rows(
    model: type[Model],
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    unless_changed: Sequence[str] = (),
    prepared: bool = False,
) -> list[Any]:
    """Update rows by primary key, in one statement; returns the keys of those that were there.

    Each row is the key, the new values of `columns`, then the values that the columns of `unless_changed` had when
    they were read: a row in which one of these differs now was written by somebody else and is left alone.
    `prepared` has the server keep the plan: for one or two rows at a time, again and again, half the time.
    """
    if not rows:
        return []
    few = len(rows) if prepared else 0
    statement, fields = _update_of_rows(model, tuple(columns), tuple(unless_changed), few)
    if few:
        values = [_plain(field, value) for row in rows for field, value in zip(fields, row, strict=True)]
        return [row[0] for row in _execute_prepared(statement, values)]
    return [row[0] for row in _execute(statement, _arrays(fields, rows))]


def update_from(model: type[Model], columns: Sequence[str], queryset: QuerySet[Any, Any]) -> list[Any]:
    """UPDATE … FROM: the queryset's first column is the primary key, the rest go into `columns` by position."""
    compiled = _compile(queryset)
    if compiled is None:
        return []
    select, parameters = compiled
    fields = [_field(model, name) for name in columns]
    return [row[0] for row in _execute(_update_statement(model, fields, [], f"({select})"), parameters)]


def delete_returning(queryset: QuerySet[Any, Any], column: str) -> list[Any]:
    """Delete the rows of `queryset` and return one column of them.

    The queryset may order, slice and lock (`select_for_update(skip_locked=True)`), which a claim needs.
    """
    compiled = _compile(queryset.values("pk"))
    if compiled is None:
        return []
    select, parameters = compiled
    model = queryset.model
    # A materialised CTE: as an IN-subquery the planner may run a locking LIMIT more than once.
    statement = (
        f"WITH claimed(key) AS MATERIALIZED ({select}) DELETE FROM {_table(model)} AS target USING claimed"
        f" WHERE target.{_quote(_primary_key(model).column)} = claimed.key"
        f" RETURNING target.{_quote(_field(model, column).column)}"
    )
    return [row[0] for row in _execute(statement, parameters)]


def refresh_statistics(*models: type[Model]) -> None:
    """ANALYZE: tell the planner at once how large tables have become, which autovacuum does some time later.

    For who has just filled them: with the statistics of an empty table a join of thousands becomes a nested loop.
    """
    _execute(f"ANALYZE {', '.join(_table(model) for model in models)}", [])


def notify(channel: str, payload: str) -> None:
    """NOTIFY: whoever listens on `channel` gets `payload` once the transaction has committed."""
    _execute("SELECT pg_notify(%s, %s)", [channel, payload])


def listen(channel: str, patience_seconds: float) -> Iterator[str | None]:
    """LISTEN on `channel` by a connection of its own: each payload as it comes, None when nothing came for so long.

    The first None says that it listens. Raises what psycopg raises when the connection breaks.
    """
    with psycopg.connect(**{**connection.get_connection_params(), "autocommit": True}) as own:
        own.execute(f"LISTEN {_quote(channel)}")
        yield None
        while True:
            for notification in own.notifies(timeout=patience_seconds):
                yield notification.payload
            yield None


def run_once_at_a_time(name: str) -> "_AdvisoryLock":
    """An advisory lock for a sweep; `with run_once_at_a_time("x") as mine:` is False while another holds it."""
    return _AdvisoryLock(name)


class _AdvisoryLock:
    def __init__(self, name: str) -> None:
        self.name = name
        self.mine = False

    def __enter__(self) -> bool:
        [(self.mine,)] = _execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [self.name])
        return self.mine

    def __exit__(self, *_: object) -> None:
        if self.mine:
            _execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [self.name])


@contextmanager
def local_settings(**parameters: str) -> Iterator[None]:
    """A transaction in which these parameters of PostgreSQL hold."""
    with transaction.atomic():
        for name, value in parameters.items():
            _execute("SELECT set_config(%s, %s, true)", [name, value])
        yield


@contextmanager
def session_settings(**parameters: str) -> Iterator[None]:
    """Until the end these parameters of PostgreSQL hold for this connection, in each of its transactions."""
    for name, value in parameters.items():
        _execute("SELECT set_config(%s, %s, false)", [name, value])
    try:
        yield
    finally:
        for name in parameters:
            _execute(f"RESET {_quote(name)}", [])


def retry_deadlocks(work: Callable[[], Result]) -> Result:
    """Run `work` in a transaction of its own, again when PostgreSQL chose it as a deadlock's victim.

    Inside another transaction there is one try: the locks of that one stay, so only the outermost can try again.
    """
    tries = 1 if connection.in_atomic_block else DEADLOCK_TRIES
    for attempt in range(1, tries + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if attempt == tries or not isinstance(error.__cause__, DeadlockDetected):
                raise
    raise AssertionError("unreachable")


def _do_update(model: type[Model], fields: Sequence[Any], key_names: Sequence[str]) -> str:
    key = [_field(model, name) for name in key_names]
    rest = [field for field in fields if field not in key]
    old = ", ".join(f"{_table(model)}.{_quote(field.column)}" for field in rest)
    new = ", ".join(f"excluded.{_quote(field.column)}" for field in rest)
    return (
        f" ON CONFLICT ({_columns(key)}) DO UPDATE SET ({_columns(rest)}) = ROW({new})"
        f" WHERE ({old}) IS DISTINCT FROM ({new})"
    )


@lru_cache(maxsize=256)
def _update_of_rows(
    model: type[Model], columns: tuple[str, ...], unless_changed: tuple[str, ...], few: int
) -> tuple[str, list[Any]]:
    """The statement of `update_rows`, for any number of rows as arrays or for a `few` as values, and its fields.

    For two rows it took longer to write than to run. Arrays make the server plan anew each time.
    """
    changed, guards = ([_field(model, name) for name in names] for names in (columns, unless_changed))
    fields = [_primary_key(model), *changed, *guards]
    source = _values_source(fields, few) if few else _unnest_source(fields)
    return _update_statement(model, changed, guards, source), fields


def _update_statement(model: type[Model], fields: list[Any], guards: list[Any], source: str) -> str:
    new = [f"new_{index}" for index in range(len(fields))]
    old = [f"old_{index}" for index in range(len(guards))]
    key = f"target.{_quote(_primary_key(model).column)}"
    assignments = ", ".join(
        f"{_quote(field.column)} = source.{name}" for field, name in zip(fields, new, strict=True)
    )
    unchanged = "".join(
        f" AND target.{_quote(field.column)} IS NOT DISTINCT FROM source.{name}"
        for field, name in zip(guards, old, strict=True)
    )
    return (
        f"UPDATE {_table(model)} AS target SET {assignments} FROM {source}"
        f" AS source({', '.join(['key', *new, *old])}) WHERE {key} = source.key{unchanged} RETURNING {key}"
    )


def _unnest(fields: Sequence[Any], rows: Sequence[Row]) -> tuple[str, list[Any]]:
    """Rows as one array parameter per column."""
    return _unnest_source(fields), _arrays(fields, rows)


def _unnest_source(fields: Sequence[Any]) -> str:
    for field in fields:
        if isinstance(field, ArrayField):
            raise TypeError(f"{field} is an array: unnest would flatten it")
    return f"unnest({', '.join(f'%s::{field.rel_db_type(connection)}[]' for field in fields)})"


def _values_source(fields: Sequence[Any], rows: int) -> str:
    row = ", ".join(f"%s::{field.rel_db_type(connection)}" for field in fields)
    return f"(VALUES {', '.join([f'({row})'] * rows)})"


def _plain(field: Any, value: Any) -> Any:
    """A value as the driver knows it: of an enumeration's member it would write the name."""
    if isinstance(field, JSONField):
        return _json_text(value)
    return value.value if isinstance(value, Enum) else value


def _arrays(fields: Sequence[Any], rows: Sequence[Row]) -> list[Any]:
    return [
        array_literal(map(_json_text, values) if isinstance(field, JSONField) else values)
        for field, values in zip(fields, zip(*rows, strict=True), strict=True)
    ]


def array_literal(values: Iterable[Any]) -> str:
    """Values as the text of a PostgreSQL array, to be cast to its type.

    The driver can send lists too, but takes ten times as long for a thousand numbers.
    """
    values = list(values)
    only_numbers = set(map(type, values)) == {int}
    return "{" + ",".join(map(str if only_numbers else _array_element, values)) + "}"


def _array_element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):  # true and false among them
        return str(value)
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    text = value if isinstance(value, str) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _compile(queryset: QuerySet[Any, Any]) -> tuple[str, Sequence[Any]] | None:
    try:
        sql, parameters = queryset.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return None
    return sql, parameters


def _execute(statement: str, parameters: Sequence[Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def _execute_prepared(statement: str, parameters: Sequence[Any]) -> list[Row]:
    """Like `_execute`, with the parameters bound by the server, which keeps the statement's plan."""
    connection.ensure_connection()
    own = connection.connection
    own.prepare_threshold = (
        0  # Django switches preparing off, for the sake of poolers that do not keep sessions
    )
    with connection.wrap_database_errors, psycopg.Cursor(own) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall()


def _returning(model: type[Model], names: Sequence[str]) -> str:
    return f" RETURNING {_columns([_field(model, name) for name in names])}" if names else ""


def _field(model: type[Model], name: str) -> Any:
    return _primary_key(model) if name == "pk" else model._meta.get_field(name)


def _primary_key(model: type[Model]) -> Any:
    return model._meta.pk


def _columns(fields: Sequence[Any]) -> str:
    return ", ".join(_quote(field.column) for field in fields)


def _table(model: type[Model]) -> str:
    return _quote(model._meta.db_table)


def _quote(name: str) -> str:
    return str(connection.ops.quote_name(name))
