"""The one condition language: a JSON tree that is validated, put into words, and compiled to a filter.

    {}                                                      everybody
    {"all": [tree, …]}  {"any": [tree, …]}  {"not": tree}
    {"field": "country", "op": "is", "value": "KR"}         a column, attribute, company field, stage or score
    {"count": {"kind": "page_viewed", "within_days": 30,
               "where": [{"field": "target", "op": "starts_with", "value": "/pricing"}]},
     "op": "at_least", "value": 2}
    {"consent": {"purpose": "marketing", "channel": "email"}, "op": "is", "value": "granted"}
    {"segment": "hot-in-korea"}

Every leaf is true or false for every contact: what is unknown is false, and "is not" includes it. Text is compared
without regard to capitals.
"""

from .compiling import EVERYBODY, Scope, compile_condition, compile_where, end_of_day, matching, today
from .fields import ConditionField, contact_fields
from .language import ConditionError, Tree, leaves, validate, validate_where
from .sentences import describe, describe_where

__all__ = [
    "EVERYBODY",
    "ConditionError",
    "ConditionField",
    "Scope",
    "Tree",
    "compile_condition",
    "compile_where",
    "contact_fields",
    "describe",
    "describe_where",
    "end_of_day",
    "leaves",
    "matching",
    "today",
    "validate",
    "validate_where",
]
