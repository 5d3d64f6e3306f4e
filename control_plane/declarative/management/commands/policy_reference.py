"""Print the reference of kinds and the schema for editors into docs/reference."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from control_plane.declarative.reference import reference_page, schema_file


class Command(BaseCommand):
    help = "Print docs/reference/kinds.md and policy.schema.json from the schemas."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", nargs="?", default="docs/reference", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kinds.md").write_text(reference_page(), encoding="utf-8")
        (folder / "policy.schema.json").write_text(schema_file(), encoding="utf-8")
        self.stdout.write(f"{folder}/kinds.md and {folder}/policy.schema.json are printed.")
