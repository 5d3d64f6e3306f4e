"""What holds in every environment."""

import os
import sys
from urllib.parse import urlsplit

from control_plane.alerts.schedule import BEAT_SCHEDULE as ALERTS_BEAT_SCHEDULE
from control_plane.declarative.schedule import BEAT_SCHEDULE as DECLARATIVE_BEAT_SCHEDULE
from control_plane.forecasts.schedule import BEAT_SCHEDULE as FORECASTS_BEAT_SCHEDULE
from control_plane.project.environment import database_from_url, read_control_settings
from control_plane.project.logs import configure_logs
from control_plane.project.settings.rest import BEAT_SCHEDULE as REST_BEAT_SCHEDULE
from control_plane.project.settings.rest import REST_FRAMEWORK as REST_FRAMEWORK
from control_plane.project.settings.rest import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from control_plane.project.settings.sign_in import *  # noqa: F403
from control_plane.project.settings.sign_in import ALLAUTH_APPS
from control_plane.project.settings.sign_in import BEAT_SCHEDULE as SIGN_IN_BEAT_SCHEDULE
from control_plane.sessions.schedule import BEAT_SCHEDULE as SESSIONS_BEAT_SCHEDULE
from control_plane.usage.schedule import BEAT_SCHEDULE as USAGE_BEAT_SCHEDULE
from switchyard_contract.settings import InvalidSettings

try:
    SWITCHYARD = read_control_settings(os.environ)
except InvalidSettings as failure:
    # A stack trace would bury the list of what to mend.
    sys.exit("Switchyard cannot start; these settings are missing or wrong:\n  " + "\n  ".join(failure.problems))

SECRET_KEY = SWITCHYARD.secret_key
DEBUG = False
ALLOWED_HOSTS = list(SWITCHYARD.allowed_hosts)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    *ALLAUTH_APPS,
    "django_htmx",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "control_plane.rest",
    "control_plane.audit",
    "control_plane.accounts",
    "control_plane.organizations",
    "control_plane.catalog",
    "control_plane.credentials",
    "control_plane.keys",
    "control_plane.identity",
    "control_plane.identity.scim",
    "control_plane.identity.device",
    "control_plane.identity.workload",
    "control_plane.routing",
    "control_plane.rules",
    "control_plane.access",
    "control_plane.limits",
    "control_plane.budgets",
    "control_plane.usage",
    "control_plane.forecasts",
    "control_plane.sessions",
    "control_plane.alerts",
    "control_plane.statements",
    "control_plane.snapshots",
    "control_plane.fleet",
    "control_plane.dashboards",
    "control_plane.onboarding",
    "control_plane.declarative",
    "control_plane.web",
]

MIDDLEWARE = [
    "control_plane.project.source_address.source_address",
    "control_plane.project.headers.security_headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "control_plane.web.session_age.session_age",
]

ROOT_URLCONF = "control_plane.project.urls"
WSGI_APPLICATION = "control_plane.project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "control_plane.web.context.console",
            ],
        },
    }
]

DATABASES = {"default": database_from_url(SWITCHYARD.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": SWITCHYARD.redis_url,
        "KEY_PREFIX": "switchyard:cache",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"

# Sessions live in PostgreSQL: losing Redis signs nobody out.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SWITCHYARD.has_secure_cookies
SESSION_COOKIE_NAME = "__Host-switchyard" if SWITCHYARD.has_secure_cookies else "switchyard"
CSRF_COOKIE_SECURE = SWITCHYARD.has_secure_cookies
CSRF_COOKIE_NAME = "__Host-switchyard-csrf" if SWITCHYARD.has_secure_cookies else "switchyard-csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(SWITCHYARD.console_public_url))]
# Believed only where the console stands behind a TLS proxy, which is what secure cookies mean.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SWITCHYARD.has_secure_cookies else None
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

globals().update(SWITCHYARD.mail)
DEFAULT_FROM_EMAIL = SWITCHYARD.mail_from

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"

# The built files are found in the apps' folders (no STATIC_ROOT), so a start needs no collectstatic step.
WHITENOISE_USE_FINDERS = True

DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

# Messages are hints: every task finds its work in PostgreSQL, and a sweep finds what a lost hint left.
CELERY_BROKER_URL = SWITCHYARD.redis_url
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "global_keyprefix": "switchyard:celery:",
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_TASK_TIME_LIMIT = 1800
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "snapshots: sweep": {"task": "snapshots.sweep", "schedule": 5.0, "options": {"expires": 5}},
    "snapshots: prune": {"task": "snapshots.prune", "schedule": 3600.0, "options": {"expires": 3600}},
    "keys: tombstones": {"task": "keys.tombstones_sweep", "schedule": 10.0, "options": {"expires": 10}},
    "credentials: refresh": {"task": "credentials.refresh", "schedule": 60.0, "options": {"expires": 60}},
    "fleet: forget": {"task": "fleet.forget", "schedule": 3600.0, "options": {"expires": 3600}},
    "audit: heads": {
        "task": "audit.publish_heads",
        "schedule": SWITCHYARD.audit_heads_minutes * 60.0,
        "options": {"expires": 60},
    },
    "keys: notices": {"task": "keys.notices", "schedule": 900.0, "options": {"expires": 900}},
    "accounts: sessions": {"task": "accounts.sessions_clear", "schedule": 3600.0, "options": {"expires": 3600}},
    **USAGE_BEAT_SCHEDULE,
    **FORECASTS_BEAT_SCHEDULE,
    **ALERTS_BEAT_SCHEDULE,
    **SESSIONS_BEAT_SCHEDULE,
    **REST_BEAT_SCHEDULE,
    **DECLARATIVE_BEAT_SCHEDULE,
    **SIGN_IN_BEAT_SCHEDULE,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "control_plane.project.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # One line per task received and succeeded would drown what matters.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}
configure_logs()
