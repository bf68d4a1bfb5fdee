"""`POST /v1/…`: authenticates the key, reads the body within its limits, answers what became of each message."""

import base64
import binascii
import logging
import zlib
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from leads.compiled import CompiledRows
from leads.ingest import Event, record_interactions
from leads.models import CaptureKey, Source
from leads.tracking.messages import MessageError, Reader
from leads.tracking.names import known_kinds
from leads.tracking.traits import Traits

logger = logging.getLogger(__name__)

EVENT_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
"""limits of the specification, uncompressed"""

TYPES = {"t": "track", "p": "page", "s": "screen", "i": "identify", "g": "group", "a": "alias", "b": "batch"}
"""the short addresses that browser SDKs use"""

_keys = CompiledRows(CaptureKey.objects.all(), column="key_hash")
_sources = CompiledRows(Source.objects.all(), column="pk")


class RefusalError(Exception):
    """The whole request is refused, with an HTTP status and words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@csrf_exempt
def receive(request: HttpRequest, call: str) -> HttpResponse:
    """Take in one message or a batch. The key is the authority here, so there is no session and no CSRF token."""
    call = TYPES.get(call, call)
    if request.method == "OPTIONS":
        return _allow(HttpResponse(status=204), request)
    if request.method != "POST":
        response: HttpResponse = JsonResponse(
            {"success": False, "error": _("Send a POST request.")}, status=405
        )
        response["Allow"] = "POST, OPTIONS"
        return response
    try:
        response = _take(request, call)
    except RefusalError as refusal:
        response = JsonResponse({"success": False, "error": str(refusal)}, status=refusal.status)
        if refusal.status == 401:
            response["WWW-Authenticate"] = 'Basic realm="capture key"'
    except OperationalError:
        logger.exception("The database did not take a batch; the sender was told to repeat it.")
        response = JsonResponse(
            {"success": False, "error": _("Nothing was stored; send it again.")},
            status=503,
            headers={"Retry-After": "1"},
        )
    return _allow(response, request)


def _take(request: HttpRequest, call: str) -> HttpResponse:
    received_at = timezone.now()
    limit = BATCH_BYTES if call == "batch" else EVENT_BYTES
    body = _body(request, limit)
    payload = _payload(body)
    key = _key(request, payload)
    _check_origin(request, key)
    messages = payload.get("batch") if call == "batch" else [{**payload, "type": call}]
    if not isinstance(messages, list):
        raise RefusalError(400, _("batch: must be a list of messages"))
    reader = Reader(
        key=key,
        received_at=received_at,
        kinds=known_kinds(),
        traits=Traits(may_declare=key.kind == CaptureKey.Kind.SERVER),
        sent_at=payload.get("sentAt"),
    )
    events: list[Event] = []
    refused: list[dict[str, Any]] = []
    suspicious = b"\\u0000" in body
    for index, message in enumerate(messages):
        try:
            if len(body) > EVENT_BYTES and len(orjson.dumps(message)) > EVENT_BYTES:
                raise MessageError(_("is larger than %(kilobytes)d KB") % {"kilobytes": EVENT_BYTES // 1024})
            if suspicious and _holds_nul(message):
                raise MessageError(_("holds a NUL character; take it out"))
            events.append(reader.read(message))
        except MessageError as error:
            refused.append({"index": index, "reason": str(error)})
    reader.traits.declare_new()
    recorded = record_interactions(events, key=key, now=received_at) if events else None
    if refused and call != "batch":
        raise RefusalError(400, refused[0]["reason"])
    answer: dict[str, Any] = {
        "success": bool(events) or not messages,
        "stored": recorded.stored if recorded else 0,
        "repeated": recorded.repeated if recorded else 0,
    }
    if refused:
        answer["refused"] = refused
    return JsonResponse(answer, status=200 if answer["success"] else 400)


def _body(request: HttpRequest, limit: int) -> bytes:
    too_large = RefusalError(
        413, _("The body is larger than %(kilobytes)d KB.") % {"kilobytes": limit // 1024}
    )
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise too_large
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise too_large from error
    if request.headers.get("Content-Encoding", "").lower() == "gzip":
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            body = inflater.decompress(body, limit + 1)
        except zlib.error as error:
            raise RefusalError(
                400, _("The body is not gzip, though its Content-Encoding says so.")
            ) from error
        if not inflater.eof and len(body) <= limit:
            raise RefusalError(400, _("The gzip body ends too early."))
    if len(body) > limit:
        raise too_large
    return body


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusalError(
            400, _("The body is not valid JSON in UTF-8: %(error)s") % {"error": error}
        ) from error
    if not isinstance(payload, dict):
        raise RefusalError(400, _("The body must be a JSON object."))
    return payload


def _key(request: HttpRequest, payload: dict[str, Any]) -> CaptureKey:
    """The capture key: the user name of basic authentication, or `writeKey` in the body."""
    given = payload.get("writeKey")
    scheme, _space, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RefusalError(
                401, _("The Authorization header is not valid basic authentication.")
            ) from error
    if not isinstance(given, str) or not given:
        raise RefusalError(
            401, _("Send the capture key as the user name of basic authentication, or as writeKey.")
        )
    known = _keys(CaptureKey.hash(given))
    if not known:
        raise RefusalError(
            401, _("This capture key is not known; Admin › Capture keys lists those that are.")
        )
    key = known[0]
    if key.revoked_at is not None:
        raise RefusalError(401, _("This capture key was revoked; use another one."))
    [key.source] = _sources(key.source_id)
    return key


def _check_origin(request: HttpRequest, key: CaptureKey) -> None:
    origin = request.headers.get("Origin")
    if key.kind == CaptureKey.Kind.BROWSER and origin and origin not in key.allowed_origins:
        raise RefusalError(403, _("Pages of %(origin)s may not use this key; add it to the key's allowed origins.")
                           % {"origin": origin[:100]})  # fmt: skip


def _allow(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    """CORS without credentials: whether a page may send is decided by its key, which a preflight does not carry."""
    if request.headers.get("Origin"):
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Allow-Methods"] = "POST, OPTIONS"
        response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Content-Encoding"
        response["Access-Control-Max-Age"] = "86400"
    return response


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(_holds_nul(item) for item in value)
