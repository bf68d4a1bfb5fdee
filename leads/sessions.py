"""Django's own sessions and users, read by finished statements: every page reads both."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from leads.compiled import CompiledRows
from leads.models import User

_session = CompiledRows(Session.objects.all(), column="pk")
_user = CompiledRows(User.objects.all(), column="pk")


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        session = next(iter(_session(self.session_key)), None) if self.session_key else None
        if session is None or session.expire_date <= timezone.now():
            self._session_key = None
            return None
        return session


class Backend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        user = next(iter(_user(user_id)), None)
        return user if self.user_can_authenticate(user) else None
