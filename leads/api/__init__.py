"""The REST API of contacts, companies, interactions and stages.

The settings name the paging by this package, which DRF imports before its own views: so nothing else is here.
"""

from .paging import NewestFirst

__all__ = ["NewestFirst"]
