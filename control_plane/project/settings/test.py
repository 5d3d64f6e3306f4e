"""For tests and type checks: everything required has a harmless value, so that the settings load anywhere.

The tests' engines replace DATABASE_URL, REDIS_URL and COUNTERS_URL before Django is set up.
"""

import base64
import os

_VALUES = {
    "SWITCHYARD_DEPLOYMENT_ID": "test",
    "DATABASE_URL": "postgresql://switchyard@127.0.0.1:1/switchyard",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "COUNTERS_URL": "redis://127.0.0.1:1/0",
    "SWITCHYARD_SECRET_KEY": "a secret for tests only",
    "SWITCHYARD_SIGNING_KEY": "test-1:" + base64.b64encode(b"s" * 32).decode(),
    "SWITCHYARD_PEPPER": "1:" + base64.b64encode(b"p" * 32).decode(),
    "SWITCHYARD_SEALING_KEY": "1:" + base64.b64encode(b"k" * 32).decode(),
    "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
    "SWITCHYARD_SECURE_COOKIES": "false",
}
for _name, _value in _VALUES.items():
    os.environ.setdefault(_name, _value)

from control_plane.project.settings.base import *  # noqa: E402, F403

ALLOWED_HOSTS = ["*"]
# Argon2 is slow on purpose; the tests sign in hundreds of times.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# pytest collects the lines itself; a handler of ours would write to a stream that it has closed by then.
LOGGING = {"version": 1, "disable_existing_loggers": False}
