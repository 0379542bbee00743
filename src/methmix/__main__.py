"""Run a stage: ``methmix <stage>`` is the same as ``python -m methmix.<stage>``."""

import argparse
import sys
from importlib import import_module
from pathlib import Path


def main() -> int:
    """Run the command line of a stage with the arguments after its name."""
    stages = sorted(path.parent.name for path in Path(__file__).parent.glob("*/__main__.py"))
    arguments = argparse.ArgumentParser(prog="methmix", description=__doc__)
    arguments.add_argument("stage", choices=stages, help="what to run; methmix STAGE --help explains it")
    arguments.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the stage")
    options = arguments.parse_args()
    sys.argv[1:] = options.arguments
    return int(import_module(f"methmix.{options.stage}.__main__").main())


if __name__ == "__main__":
    sys.exit(main())
