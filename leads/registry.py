"""What `leads` needs from the apps to its right, which it must not import.

Each app fills these in its `AppConfig.ready()`. This is the whole list of such doors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.utils.functional import Promise

if TYPE_CHECKING:
    from leads.conditions import ConditionField
    from leads.models import Contact

Words = str | Promise


@dataclass(frozen=True)
class Panel:
    """A fragment of the contact page that another app serves: the page loads it from the named URL."""

    title: Words
    url_name: str


@dataclass
class Registry:
    bells: dict[str, str] = field(default_factory=dict)
    """bell → name of the Celery task that it wakes"""
    condition_fields: list[Callable[[], "list[ConditionField]"]] = field(default_factory=list)
    """each gives the fields that it adds to the condition language, asked anew at every use"""
    merge_participants: list[Callable[["Contact", "Contact"], dict[str, list[int]]]] = field(
        default_factory=list
    )
    """called with (survivor, absorbed), both locked: moves its rows, returns their ids by table"""
    contact_panels: list[Panel] = field(default_factory=list)


registry = Registry()
