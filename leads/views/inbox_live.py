"""The stream by which open inboxes hear of changes."""

from django.http import HttpResponse

from .access import PageRequest
from .inbox import inbox_page


@inbox_page
def inbox_live(request: PageRequest) -> HttpResponse:
    """Nothing to hear yet: 204 tells the browser not to ask again."""
    return HttpResponse(status=204)
