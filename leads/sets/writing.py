"""COPY, INSERT … SELECT, UPDATE … FROM and DELETE … RETURNING over querysets and rows."""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import JSONField, Model, QuerySet

from .sql import (
    Row,
    array_literal,
    column_list,
    compile_queryset,
    execute,
    execute_prepared,
    field_of,
    json_text,
    primary_key,
    quoted,
    table_name,
)


def allocate_ids(model: type[Model], count: int) -> list[int]:
    """Take `count` new primary keys of `model`, so that rows that refer to each other can be written as sets."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
            [model._meta.db_table, primary_key(model).column, count],
        )
        return [row[0] for row in cursor.fetchall()]


def copy_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Row]) -> int:
    """COPY rows into the table of `model`: the quickest insert, without conflict handling. Returns their number."""
    fields = [field_of(model, name) for name in columns]
    jsonb = [index for index, field in enumerate(fields) if isinstance(field, JSONField)]
    count = 0
    with connection.cursor() as cursor:
        statement = f"COPY {table_name(model)} ({column_list(fields)}) FROM STDIN"
        with cursor.copy(statement) as copy:
            for row in rows:
                if jsonb:
                    cells = list(row)
                    for index in jsonb:
                        cells[index] = json_text(cells[index])
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
    fields = [field_of(model, name) for name in columns]
    source, parameters = _unnest(fields, rows)
    statement = f"INSERT INTO {table_name(model)} ({column_list(fields)}) SELECT * FROM {source}"
    if ignore_conflicts:
        statement += " ON CONFLICT DO NOTHING"
    return execute(statement + _returning(model, returning), parameters)


def upsert_rows(
    model: type[Model], columns: Sequence[str], rows: Sequence[Row], *, key: Sequence[str]
) -> None:
    """Insert rows in one statement; those whose unique `key` is known take the new values of the other columns."""
    if not rows:
        return
    fields = [field_of(model, name) for name in columns]
    source, parameters = _unnest(fields, rows)
    execute(
        f"INSERT INTO {table_name(model)} ({column_list(fields)}) SELECT * FROM {source}"
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
    compiled = compile_queryset(queryset)
    if compiled is None:
        return []
    select, parameters = compiled
    fields = [field_of(model, name) for name in columns]
    statement = f"INSERT INTO {table_name(model)} ({column_list(fields)}) {select}"
    if update_on:
        statement += _do_update(model, fields, update_on)
    elif ignore_conflicts:
        statement += " ON CONFLICT DO NOTHING"
    return execute(statement + _returning(model, returning), parameters)


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
        return [row[0] for row in execute_prepared(statement, values)]
    return [row[0] for row in execute(statement, _arrays(fields, rows))]


def update_from(model: type[Model], columns: Sequence[str], queryset: QuerySet[Any, Any]) -> list[Any]:
    """UPDATE … FROM: the queryset's first column is the primary key, the rest go into `columns` by position."""
    compiled = compile_queryset(queryset)
    if compiled is None:
        return []
    select, parameters = compiled
    fields = [field_of(model, name) for name in columns]
    return [row[0] for row in execute(_update_statement(model, fields, [], f"({select})"), parameters)]


def delete_returning(queryset: QuerySet[Any, Any], column: str) -> list[Any]:
    """Delete the rows of `queryset` and return one column of them.

    The queryset may order, slice and lock (`select_for_update(skip_locked=True)`), which a claim needs.
    """
    compiled = compile_queryset(queryset.values("pk"))
    if compiled is None:
        return []
    select, parameters = compiled
    model = queryset.model
    # A materialised CTE: as an IN-subquery the planner may run a locking LIMIT more than once.
    statement = (
        f"WITH claimed(key) AS MATERIALIZED ({select}) DELETE FROM {table_name(model)} AS target USING claimed"
        f" WHERE target.{quoted(primary_key(model).column)} = claimed.key"
        f" RETURNING target.{quoted(field_of(model, column).column)}"
    )
    return [row[0] for row in execute(statement, parameters)]


def refresh_statistics(*models: type[Model]) -> None:
    """ANALYZE: tell the planner at once how large tables have become, which autovacuum does some time later.

    For who has just filled them: with the statistics of an empty table a join of thousands becomes a nested loop.
    """
    execute(f"ANALYZE {', '.join(table_name(model) for model in models)}", [])


def _do_update(model: type[Model], fields: Sequence[Any], key_names: Sequence[str]) -> str:
    key = [field_of(model, name) for name in key_names]
    rest = [field for field in fields if field not in key]
    old = ", ".join(f"{table_name(model)}.{quoted(field.column)}" for field in rest)
    new = ", ".join(f"excluded.{quoted(field.column)}" for field in rest)
    return (
        f" ON CONFLICT ({column_list(key)}) DO UPDATE SET ({column_list(rest)}) = ROW({new})"
        f" WHERE ({old}) IS DISTINCT FROM ({new})"
    )


@lru_cache(maxsize=256)
def _update_of_rows(
    model: type[Model], columns: tuple[str, ...], unless_changed: tuple[str, ...], few: int
) -> tuple[str, list[Any]]:
    """The statement of `update_rows`, for any number of rows as arrays or for a `few` as values, and its fields.

    For two rows it took longer to write than to run. Arrays make the server plan anew each time.
    """
    changed, guards = ([field_of(model, name) for name in names] for names in (columns, unless_changed))
    fields = [primary_key(model), *changed, *guards]
    source = _values_source(fields, few) if few else _unnest_source(fields)
    return _update_statement(model, changed, guards, source), fields


def _update_statement(model: type[Model], fields: list[Any], guards: list[Any], source: str) -> str:
    new = [f"new_{index}" for index in range(len(fields))]
    old = [f"old_{index}" for index in range(len(guards))]
    key = f"target.{quoted(primary_key(model).column)}"
    assignments = ", ".join(
        f"{quoted(field.column)} = source.{name}" for field, name in zip(fields, new, strict=True)
    )
    unchanged = "".join(
        f" AND target.{quoted(field.column)} IS NOT DISTINCT FROM source.{name}"
        for field, name in zip(guards, old, strict=True)
    )
    return (
        f"UPDATE {table_name(model)} AS target SET {assignments} FROM {source}"
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
        return json_text(value)
    return value.value if isinstance(value, Enum) else value


def _arrays(fields: Sequence[Any], rows: Sequence[Row]) -> list[Any]:
    return [
        array_literal(map(json_text, values) if isinstance(field, JSONField) else values)
        for field, values in zip(fields, zip(*rows, strict=True), strict=True)
    ]


def _returning(model: type[Model], names: Sequence[str]) -> str:
    return f" RETURNING {column_list([field_of(model, name) for name in names])}" if names else ""
