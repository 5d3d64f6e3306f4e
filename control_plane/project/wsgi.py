"""The web process's door: `control_plane.project.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.project.settings.production")

application = get_wsgi_application()
