"""Settings. Everything an installation decides comes from the environment; a bad value stops the start.

| variable | meaning | without it |
| --- | --- | --- |
| LEADMGR_DATA_DIR | folder of the embedded database, broker and key | `.data/` in the project |
| DATABASE_URL | PostgreSQL 15 or newer | the embedded PostgreSQL |
| CELERY_BROKER_URL | Redis or RabbitMQ | files in the data folder |
| LEADMGR_SECRET_KEY | signs sessions and links | made once, kept in the data folder |
| LEADMGR_BASE_URL | the address people type, such as https://leads.example.com | http://127.0.0.1:8000 |
| LEADMGR_HOSTS | further host names it answers to, comma between | none |
| LEADMGR_BROKER_PREFIX | put before each Redis key, for installations that share one Redis | none |
| LEADMGR_TIME_ZONE | the company's time zone, in which a day begins and ends | UTC |
| LEADMGR_LANGUAGE | language for people who chose none: en or ko | en |
| LEADMGR_MAIL_…, ANYMAIL_… | outgoing mail: see `leadmgr/mail.py` | files in the data folder |
"""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from leadmgr.mail import mail_settings

django_stubs_ext.monkeypatch()  # lets Django's generic classes be written as ModelForm[Contact] at run time too

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("LEADMGR_DATA_DIR") or BASE_DIR / ".data").expanduser().resolve()


def _embedded_secret_key() -> str:
    """A key of this installation's own, made once and readable by its user only."""
    path = DATA_DIR / "secret_key"
    if not path.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # the first of two processes wins, both read the same key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


DATABASE_URL = os.environ.get("DATABASE_URL", "")
SECRET_KEY = os.environ.get("LEADMGR_SECRET_KEY", "")
if not SECRET_KEY:
    if DATABASE_URL:
        raise ImproperlyConfigured(
            "DATABASE_URL is set but LEADMGR_SECRET_KEY is not. Every process needs the same key; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
    SECRET_KEY = _embedded_secret_key()

BASE_URL = os.environ.get("LEADMGR_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
_base = urlsplit(BASE_URL)
if _base.scheme not in ("http", "https") or not _base.hostname:
    raise ImproperlyConfigured(
        f"LEADMGR_BASE_URL is {BASE_URL!r}; it must look like https://leads.example.com"
    )

DEBUG = False
ALLOWED_HOSTS = [_base.hostname, "127.0.0.1", "localhost", "[::1]"]
for _host in filter(None, os.environ.get("LEADMGR_HOSTS", "").split(",")):
    ALLOWED_HOSTS.append(f"[{_host.strip()}]" if ":" in _host else _host.strip())
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if _base.scheme == "https":
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

INSTALLED_APPS = [
    "leadmgr.apps.LeadmgrConfig",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework.authtoken",
    "leads.apps.LeadsConfig",
    "scoring.apps.ScoringConfig",
    "nurture.apps.NurtureConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "leads.middleware.PersonalSettingsMiddleware",
]

ROOT_URLCONF = "leadmgr.urls"
ASGI_APPLICATION = "leadmgr.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leadmgr.shell.shell",
            ],
        },
    }
]

if DATABASE_URL:
    _database: dict[str, Any] = dict(dj_database_url.parse(DATABASE_URL))
    if _database["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL database: postgres://user:password@host/name"
        )
    # A shell with LANG=C must not decide how the test database compares text.
    _database["TEST"] = {"TEMPLATE": "template0", "CHARSET": "UTF8"}
else:
    _database = {"ENGINE": "leadmgr.embedded", "NAME": "leadmgr"}
_database.setdefault("OPTIONS", {})["application_name"] = os.environ.get("LEADMGR_PROCESS", "leadmgr")
if os.environ.get("LEADMGR_PROCESS") == "web":
    # At most one for each of the threads of leadmgr/asgi.py; idle ones are given back.
    _database["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 12, "timeout": 10}
else:
    _database["CONN_MAX_AGE"] = 600
    _database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "leads.User"
AUTHENTICATION_BACKENDS = ["leads.sessions.Backend"]
SESSION_ENGINE = "leads.sessions"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = reverse_lazy("login")

LANGUAGE_CODE = os.environ.get("LEADMGR_LANGUAGE", "en")
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
if LANGUAGE_CODE not in dict(LANGUAGES):
    raise ImproperlyConfigured(f"LEADMGR_LANGUAGE is {LANGUAGE_CODE!r}; it must be one of en, ko")
LOCALE_PATHS = [BASE_DIR / "leadmgr" / "locale"]
TIME_ZONE = os.environ.get("LEADMGR_TIME_ZONE", "UTC")
try:
    ZoneInfo(TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError) as error:
    raise ImproperlyConfigured(
        f"LEADMGR_TIME_ZONE is {TIME_ZONE!r}; it must be a name such as Asia/Seoul"
    ) from error
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing one at every start
WHITENOISE_USE_FINDERS = True  # serves the files where they lie, so a laptop needs no collectstatic

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2}
if os.environ.get("LEADMGR_BROKER_PREFIX"):
    CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = os.environ["LEADMGR_BROKER_PREFIX"]
if not CELERY_BROKER_URL:
    CELERY_BROKER_URL = "filesystem://localhost/"
    CELERY_BROKER_TRANSPORT = "leadmgr.broker:Transport"
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # it would poll one more queue, and nobody asks
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "broker" / "queue"),
        "data_folder_out": str(DATA_DIR / "broker" / "queue"),
        "control_folder": str(DATA_DIR / "broker" / "control"),
        "polling_interval": 0.1,
    }
    for _folder in ("queue", "control"):
        (DATA_DIR / "broker" / _folder).mkdir(parents=True, exist_ok=True)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "bells"
CELERY_TASK_PUBLISH_RETRY = False  # a lost bell costs a second at most, a waiting request costs a customer
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ROUTES = {"*.long_*": {"queue": "long"}, "nurture.send_messages": {"queue": "mail"}}
CELERY_TIMEZONE = "UTC"

# Outgoing mail: EMAIL_…, DEFAULT_FROM_EMAIL, ANYMAIL and MAIL_PROVIDER
EMAIL_FILE_PATH: str
MAIL_PROVIDER: str
globals().update(mail_settings(os.environ, DATA_DIR, _base.hostname))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["leads.permissions.ModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "leads.api.NewestFirst",
    "PAGE_SIZE": 100,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "leadmgr",
    "DESCRIPTION": "Contacts, companies, interactions, stages and scores with their parts.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
}


def _menu(title: Any, *items: tuple[Any, str, str]) -> dict[str, Any]:
    """A group of the admin's menu: (words, icon, model) each, shown to those who may see the model's rows."""

    def item(label: Any, icon: str, model: str) -> dict[str, Any]:
        app, name = model.split(".")
        return {
            "title": label,
            "icon": icon,
            "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
            "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
        }

    return {"title": title, "items": [item(*one) for one in items]}


UNFOLD = {
    "SITE_TITLE": "leadmgr",
    "SITE_HEADER": "leadmgr",
    "SITE_SUBHEADER": _("Admin"),
    "SITE_SYMBOL": "filter_alt",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("leadmgr/mark.svg")}
    ],
    "STYLES": [lambda request: static("leadmgr/admin.css")],
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "base": {
            "50": "oklch(98.6% .003 255)",
            "100": "oklch(96.8% .005 255)",
            "200": "oklch(91.5% .008 255)",
            "300": "oklch(84% .012 255)",
            "400": "oklch(70% .018 260)",
            "500": "oklch(54% .02 260)",
            "600": "oklch(48% .02 260)",
            "700": "oklch(38% .022 260)",
            "800": "oklch(29% .022 260)",
            "900": "oklch(24% .02 260)",
            "950": "oklch(17% .018 260)",
        },
        "primary": {
            "50": "oklch(97.5% .012 262)",
            "100": "oklch(95.5% .022 262)",
            "200": "oklch(90% .05 262)",
            "300": "oklch(82% .09 262)",
            "400": "oklch(71% .13 262)",
            "500": "oklch(60% .16 262)",
            "600": "oklch(52% .17 262)",
            "700": "oklch(46% .16 262)",
            "800": "oklch(40% .13 262)",
            "900": "oklch(34% .1 262)",
            "950": "oklch(26% .07 262)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            _menu(
                _("Capture"),
                (_("Sources"), "input", "leads.source"),
                (_("Campaigns"), "campaign", "leads.campaign"),
                (_("Capture keys"), "key", "leads.capturekey"),
                (_("Interaction kinds"), "category", "leads.interactionkind"),
                (_("Attributes"), "data_object", "leads.attribute"),
            ),
            _menu(_("Sales"), (_("Rejection reasons"), "thumb_down", "leads.rejectionreason")),
            _menu(
                _("People"),
                (_("Contacts"), "person", "leads.contact"),
                (_("Companies"), "apartment", "leads.company"),
                (_("Segments"), "group_work", "leads.segment"),
            ),
            _menu(
                _("Scoring"),
                (_("Score sheets"), "leaderboard", "scoring.scoresheet"),
                (_("Rule groups"), "folder", "scoring.rulegroup"),
                (_("Rules"), "rule", "scoring.rule"),
                (_("Thresholds"), "thermostat", "scoring.threshold"),
            ),
            _menu(
                _("Nurture"),
                (_("Tracks"), "route", "nurture.track"),
                (_("Workflows"), "account_tree", "nurture.workflow"),
                (_("E-mail templates"), "mail", "nurture.template"),
                (_("Enrolments"), "directions_walk", "nurture.enrolment"),
                (_("Messages"), "outgoing_mail", "nurture.message"),
            ),
            _menu(
                _("History"),
                (_("Interactions"), "bolt", "leads.interaction"),
                (_("Stage changes"), "swap_vert", "leads.stagechange"),
                (_("Score changes"), "trending_up", "scoring.scorechange"),
                (_("Scores"), "scoreboard", "scoring.score"),
                (_("Identities"), "fingerprint", "leads.identity"),
                (_("Consents"), "verified_user", "leads.consent"),
                (_("Hand-offs"), "handshake", "leads.handoff"),
                (_("Assignments"), "assignment_ind", "leads.assignment"),
                (_("Holds"), "front_hand", "leads.hold"),
                (_("Merges"), "merge", "leads.mergerecord"),
            ),
            _menu(
                _("Access"),
                (_("Users"), "badge", "leads.user"),
                (_("Teams"), "groups", "leads.team"),
                (_("Roles"), "shield_person", "auth.group"),
                (_("API tokens"), "vpn_key", "authtoken.tokenproxy"),
            ),
        ],
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": "INFO"} for name in ("leadmgr", "leads", "scoring", "nurture")},
}

# How many touches one scoring transaction claims: large enough to share the cost of a statement, small
# enough that its locks are held for about a tenth of a second.
TOUCH_CLAIM = int(os.environ.get("LEADMGR_TOUCH_CLAIM", "2000"))

# How many open pages one web process tells of changes; each costs an open connection and some kilobytes.
LIVE_STREAMS_MOST = int(os.environ.get("LEADMGR_LIVE_STREAMS", "1000"))
