"""Django's own commands, for development: `python -m control_plane.manage <command>`."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.project.settings.development")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
