#!/usr/bin/env python3
"""Django's command line for this project; `manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmgr.settings")
    arguments = sys.argv
    # Settings read the data folder, so `--data DIR` has to be known before they load.
    if "--data" in arguments[:-1]:
        os.environ["LEADMGR_DATA_DIR"] = arguments[arguments.index("--data") + 1]
    for argument in arguments:
        if argument.startswith("--data="):
            os.environ["LEADMGR_DATA_DIR"] = argument.removeprefix("--data=")

    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)


if __name__ == "__main__":
    main()
