"""The first run of a local installation: `python -m control_plane.project.seed`.

Prints exactly one line of JSON on standard output; secrets are in it only the first time. A second run changes nothing
and says {"seeded": false}.
"""

import json
import sys
from dataclasses import asdict

from control_plane.project.processes import set_up


def main() -> None:
    set_up()
    # Models can be imported only once Django is set up.
    from control_plane.project.first_run import installation_seed

    made = installation_seed()
    answer = {"seeded": False} if made is None else {**asdict(made), "seeded": True}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
