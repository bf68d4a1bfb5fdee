"""The stream by which open inboxes hear of changes."""

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse

from leads.live import has_room, stream

from .access import PageRequest, find_contact
from .inbox import inbox_page

NOTHING_TO_HEAR = 204
"""tells a browser to ask no more; the page then looks once a minute"""


def inbox_live(request: PageRequest) -> HttpResponseBase:
    """Server-sent events: `queue`, `lead` when the one that is shown changed too, `again` after a pause."""
    if not request.user.is_authenticated:  # a stream cannot follow the way to the login
        return HttpResponse(status=NOTHING_TO_HEAR)
    return _open_stream(request)


@inbox_page
def _open_stream(request: PageRequest) -> HttpResponseBase:
    # Outside of ASGI a waiting page would keep a thread.
    if not isinstance(request, ASGIRequest) or not has_room():
        return HttpResponse(status=NOTHING_TO_HEAR)
    lead = _visible_lead(request)
    session = request.session
    response = StreamingHttpResponse(
        stream(str(session.session_key), lead, session.get_expiry_age()), content_type="text/event-stream"
    )
    response["X-Accel-Buffering"] = "no"  # nginx would keep the events until it has some kilobytes
    connection.close()  # back to the pool: the request goes on for minutes
    return response


def _visible_lead(request: PageRequest) -> int | None:
    asked = request.GET.get("lead", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):
        return None
    try:
        return find_contact(request.user, int(asked)).pk
    except Http404:
        return None
