"""Expressions and a lookup that the ORM lacks."""

from typing import Any

from django.db.models import Field, ForeignObject, Func, IntegerField, Lookup

from .sql import array_literal


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
