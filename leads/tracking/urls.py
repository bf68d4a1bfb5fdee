"""The addresses of the tracking specification, without a final slash as SDKs expect."""

from django.urls import re_path

from leads.tracking.endpoint import receive

urlpatterns = [
    re_path(r"^(?P<call>track|page|screen|identify|group|alias|batch|[tpsigab])/?$", receive, name="track"),
]
