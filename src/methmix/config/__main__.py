"""Print a JSON schema, or a configuration as it is understood."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from methmix import cli
from methmix.config.ablation import Ablation
from methmix.config.arm import ARM_ADAPTER
from methmix.config.experiment import Experiment
from methmix.config.load import load_ablation, load_arm, load_experiment, read_yaml, to_yaml


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.config", __doc__ or "")
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--schema", choices=["experiment", "arm", "ablation"], help="print the JSON schema")
    what.add_argument("--check", type=Path, help="validate an experiment, an arm or an ablation and print it in full")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    if options.check:
        content = read_yaml(options.check)
        load = load_arm if "arm" in content else load_ablation if "variants" in content else load_experiment
        sys.stdout.write(to_yaml(load(options.check)))
        return
    sys.stdout.write(json.dumps(schema(options.schema), indent=2) + "\n")


def schema(of: str) -> dict[str, object]:
    """Make the JSON schema of an ``experiment``, an ``arm`` or an ``ablation``."""
    adapters: dict[str, TypeAdapter[Any]] = {
        "experiment": TypeAdapter(Experiment),
        "arm": ARM_ADAPTER,
        "ablation": TypeAdapter(Ablation),
    }
    made = adapters[of].json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


if __name__ == "__main__":
    sys.exit(main())
