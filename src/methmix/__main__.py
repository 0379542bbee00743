"""Run a stage: ``methmix <stage>`` is the same as ``python -m methmix.<stage>``."""

import argparse
import ast
import sys
from importlib import import_module
from pathlib import Path

from methmix import __version__


def main() -> int:
    """Run the command line of a stage with the arguments after its name."""
    stages = _stages()
    listed = "\n".join(f"  {name:16}{purpose}" for name, purpose in stages.items())
    arguments = argparse.ArgumentParser(
        prog="methmix",
        description="Estimate from DNA methylation which tissues a mixture of DNA comes from, and in what proportions.",
        epilog=f"stages:\n{listed}\n\nmethmix STAGE --help explains one. For research use only.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--version", action="version", version=f"methmix {__version__}")
    arguments.add_argument("stage", choices=stages, metavar="STAGE", help="what to run")
    arguments.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the stage")
    options = arguments.parse_args()
    sys.argv[1:] = options.arguments
    return int(import_module(f"methmix.{options.stage}.__main__").main())


def _stages() -> dict[str, str]:
    """Give the purpose of each stage by name, read from its file: an import would take seconds."""
    files = sorted(Path(__file__).parent.glob("*/__main__.py"))
    purposes = {path.parent.name: ast.get_docstring(ast.parse(path.read_bytes())) or "" for path in files}
    return {name: text.splitlines()[0] for name, text in purposes.items()}


if __name__ == "__main__":
    sys.exit(main())
