"""The REST API of contacts, companies, interactions and stages."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by cursor: as quick at the end of a long list as at its beginning."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 500
