"""SQL text and its values: names of tables and columns come from model fields, values travel as parameters."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Model, QuerySet

Row = tuple[Any, ...]


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


def json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def compile_queryset(queryset: QuerySet[Any, Any]) -> tuple[str, Sequence[Any]] | None:
    try:
        sql, parameters = queryset.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return None
    return sql, parameters


def execute(statement: str, parameters: Sequence[Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def execute_prepared(statement: str, parameters: Sequence[Any]) -> list[Row]:
    """Like `_execute`, with the parameters bound by the server, which keeps the statement's plan."""
    connection.ensure_connection()
    own = connection.connection
    own.prepare_threshold = (
        0  # Django switches preparing off, for the sake of poolers that do not keep sessions
    )
    with connection.wrap_database_errors, psycopg.Cursor(own) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall()


def field_of(model: type[Model], name: str) -> Any:
    return primary_key(model) if name == "pk" else model._meta.get_field(name)


def primary_key(model: type[Model]) -> Any:
    return model._meta.pk


def column_list(fields: Sequence[Any]) -> str:
    return ", ".join(quoted(field.column) for field in fields)


def table_name(model: type[Model]) -> str:
    return quoted(model._meta.db_table)


def quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))
