"""The one settings module. All comes from the environment; without any, AudSync runs embedded (no server needed)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from audsync_web import env
from audsync_web.storage_url import storage_backend

VERSION = "1.0.0"
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("AUDSYNC_DATA_DIR") or BASE_DIR / "data").resolve()

DATABASE_URL = env.text("DATABASE_URL")
CELERY_BROKER_URL_GIVEN = env.text("CELERY_BROKER_URL")
EMBEDDED = not DATABASE_URL

DEBUG = False
HTTPS = env.boolean("AUDSYNC_HTTPS", False)
ALLOW_PRIVATE_VENDOR_HOSTS = env.boolean("AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS", False)
MAX_UPLOAD_BYTES = env.integer("AUDSYNC_MAX_UPLOAD_BYTES", 5_000_000_000, minimum=1)
ALLOWED_HOSTS = env.words("AUDSYNC_ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))
CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS if HTTPS and host != "*"]


def _secret(name: str, file_name: str, make: str) -> str:
    given = env.text(name)
    if given:
        return given
    if not EMBEDDED:
        raise ImproperlyConfigured(f"Set {name}: with DATABASE_URL set, every machine must be given the same one.")
    return env.kept_secret(DATA_DIR / file_name, make)


SECRET_KEY = _secret("AUDSYNC_SECRET_KEY", "secret-key", get_random_secret_key())
# The first key seals; the others only open what was sealed before (manage.py reseal moves everything to the first).
ENCRYPTION_KEYS = [
    key.strip()
    for key in _secret("AUDSYNC_ENCRYPTION_KEYS", "encryption-keys", Fernet.generate_key().decode()).split(",")
    if key.strip()
]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "audsync_web",
    "audsync_web.people",
    "audsync_web.jobs",
    "audsync_web.vendors",
    "audsync_web.api",
    "segments",
    "uploads",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "audsync_web.people.middleware.ActorMiddleware",
    "audsync_web.middleware.RefusedMethodMiddleware",
]

ROOT_URLCONF = "audsync_web.urls"
WSGI_APPLICATION = "audsync_web.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "loaders": [
                ("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"]),
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "audsync_web.context.page",
            ],
            "builtins": ["audsync_web.templatetags.ui"],
        },
    },
]


def _database() -> dict[str, Any]:
    if DATABASE_URL:
        return dict(dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "audsync.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
        },
        # Threads of a test share the database, so it must be a file there, too.
        "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = ["audsync_web.people.backends.PeopleBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

SESSION_COOKIE_NAME = "audsync_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "audsync_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "audsync_web.errors.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES: dict[str, dict[str, Any]] = {
    "default": storage_backend(env.text("AUDSYNC_STORAGE_URL"), DATA_DIR),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Where the engine spills while it works; private, emptied at start.
SPILL_DIR = DATA_DIR / "spill"

# Bodies of uploads are read as streams by the views; nothing else is large.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

# --- Celery: messages are wake-ups only; rows in the database are the queue of record --------------------------------

BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_URL = CELERY_BROKER_URL_GIVEN or "audsync-files://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if not CELERY_BROKER_URL_GIVEN:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "audsync"
CELERY_TIMEZONE = "UTC"
TICK_SECONDS = 1.0
CELERY_BEAT_SCHEDULE = {
    # A tick that no worker has taken is useless once the next one is out.
    "tick": {
        "task": "jobs.dispatch",
        "schedule": TICK_SECONDS,
        "kwargs": {"scheduled": True},
        "options": {"expires": 3},
    },
    "minute": {"task": "jobs.housekeeping", "schedule": 60.0, "options": {"expires": 50}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")

# --- REST ------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["audsync_web.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["audsync_web.api.permissions.InCompany"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["audsync_web.api.parsing.JsonBody"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "audsync_web.api.negotiation.AnyAccept",
    "DEFAULT_SCHEMA_CLASS": "audsync_web.api.schema.Schema",
    "EXCEPTION_HANDLER": "audsync_web.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AudSync",
    "DESCRIPTION": "Audience segments at several vendors: create, publish, load members, follow every delivery.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/public/v3",
    "ENUM_NAME_OVERRIDES": {
        "SegmentStatus": "segments.models.SegmentStatus",
        "DestinationStatus": "segments.api_shapes.DESTINATION_STATUSES",
        "UploadStatus": "uploads.api.shapes.UPLOAD_STATUSES",
        "DeliveryStatus": "uploads.models.DeliveryStatus",
        "UploadMode": "uploads.models.Mode",
        "VendorAccountStatus": "audsync_web.vendors.api.ACCOUNT_STATUSES",
    },
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("AUDSYNC_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        # One line an answer is the web server's matter; Django's own would repeat paths.
        "django.request": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "ERROR"},
        "urllib3": {"level": "WARNING"},
    },
}
