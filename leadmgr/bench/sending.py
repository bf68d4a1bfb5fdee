"""A client for the benchmarks: connections that stay open, bodies prepared before the clock starts."""

import base64
import http.client
import json
import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from leadmgr.bench.base import KINDS
from leads.models import CaptureKey, Source


def new_key() -> str:
    source = Source.objects.get(slug="bench")
    return CaptureKey.issue(name=f"bench {uuid4()}", kind="server", source=source)[1]


def message(contact: int) -> dict[str, Any]:
    """A track event of a contact of the base, as an SDK sends it."""
    kind = random.choice(KINDS)
    return {
        "type": "track",
        "event": kind,
        "userId": str(contact),
        "messageId": str(uuid4()),
        "timestamp": (timezone.now() - timedelta(seconds=random.randrange(3600))).isoformat(),
        "properties": {
            "path": f"/page/{random.randrange(1000)}",
            "plan": random.randrange(7),
            "duration": 12,
        },
        "context": {"library": {"name": "bench", "version": "1"}},
    }


class Sender:
    """One connection that posts with a capture key."""

    def __init__(self, port: int, key: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        self.headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}

    def post(self, call: str, body: bytes) -> dict[str, Any]:
        self.connection.request("POST", f"/v1/{call}", body, self.headers)
        response = self.connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {answer}")
        return answer
