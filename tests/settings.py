"""AudSync's settings as tests run them: the environment is made before the real module is read."""

from __future__ import annotations

from tests import environment

DATA_FOLDER = environment.prepare()

from audsync_web.settings import *  # noqa: E402, F403

# Wake-ups stay in this process; rows are the queue of record all the same.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
STATIC_ROOT = DATA_FOLDER / "static"
STATIC_ROOT.mkdir()
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
# Strong hashing is Django's matter and costs a test fifty milliseconds each time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
