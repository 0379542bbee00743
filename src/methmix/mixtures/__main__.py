"""Write the mixtures of one phase and one split to HDF5."""

import argparse
import sys
from pathlib import Path

from methmix import cli
from methmix.errors import InputError


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.mixtures", __doc__ or "")
    cli.config_option(arguments)
    arguments.add_argument("--reference", type=Path, required=True, help="reference.h5 of the experiment")
    arguments.add_argument("--phase", required=True, help="a phase of mixtures.recipes, for example phase2")
    arguments.add_argument(
        "--split", required=True, choices=("train", "validation", "test"), help="the split whose donors are mixed"
    )
    cli.output_option(arguments, "mixtures HDF5 to write", is_file=True)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here: --help must not load the numerical libraries.
    from methmix.config.load import load_experiment
    from methmix.files.reference import read_reference
    from methmix.mixtures.write import write_mixtures

    experiment = load_experiment(options.config)
    if options.phase not in experiment.mixtures.recipes:
        raise InputError(
            f"--phase {options.phase}: {options.config} has recipes for {', '.join(experiment.mixtures.recipes)}",
            "choose one of these, or add a recipe",
        )
    write_mixtures(experiment, read_reference(options.reference), options.phase, options.split, options.output)


if __name__ == "__main__":
    sys.exit(main())
