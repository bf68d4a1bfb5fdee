"""What every page of the product's own shell needs: the rail, by permission."""

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    return {}
