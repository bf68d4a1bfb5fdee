"""Django's PostgreSQL backend, connected to the embedded server of the data folder."""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from .server import ensure_running


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        socket_folder = ensure_running(settings.DATA_DIR)
        return super().get_connection_params() | {"host": str(socket_folder), "user": "postgres"}
