"""Print a configuration in full, with its bases and all defaults; a JSON schema; or the reference of all keys."""

import argparse
import json
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.config", __doc__ or "")
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "config", nargs="?", type=Path, metavar="CONFIG", help="an experiment, an arm, an ablation or a sweep"
    )
    kinds = ["experiment", "arm", "ablation", "sweep", "samples", "donors"]
    what.add_argument("--schema", choices=kinds, help="print the JSON schema; of sheets that of a row")
    what.add_argument("--readme", action="store_true", help="print config/README.md: every key and column")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help is quick.
    from methmix.config.key_tables import readme
    from methmix.config.load import load, schema, to_yaml

    if options.readme:
        sys.stdout.write(readme())
        return
    made = json.dumps(schema(options.schema), indent=2) + "\n" if options.schema else to_yaml(load(options.config))
    sys.stdout.write(made)


if __name__ == "__main__":
    sys.exit(main())
