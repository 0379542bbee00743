"""Make a panel of normals: what controls of your laboratory look like, and how much they vary."""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.normals", __doc__ or "")
    arguments.add_argument(
        "--samples", type=Path, required=True, metavar="SHEET",
        help="samples sheet, TSV: sample, file[, name_in_file, group, ...]; all samples, or those of --control-group",
    )  # fmt: skip
    arguments.add_argument("--checkpoint", type=Path, required=True, help="checkpoint_best.pt of the model")
    arguments.add_argument("--control-group", metavar="NAME", help="group of the sheet that the controls are")
    arguments.add_argument(
        "--background", nargs="+", metavar="NAME",
        help="tissues that the controls consist of, such as blood cells; by default those that the model gives at "
        "least 5 %% of the median control",
    )  # fmt: skip
    arguments.add_argument("--regions-file", type=Path, help="BED with CpG indices, for .beta and .pat.gz")
    arguments.add_argument("--genome", help="genome build of the samples, such as hg38")
    arguments.add_argument(
        "--zero-based", action=argparse.BooleanOptionalAction, help="whether positions are counted from 0, if unclear"
    )
    arguments.add_argument(
        "--modification", choices=["5mC", "5mC+5hmC"], help="what samples count, if they count 5hmC apart"
    )
    arguments.add_argument("--manifest", type=Path, help="manifest of the array, for tables of probes")
    arguments.add_argument("--pseudo-depth", type=int, default=30, help="depth assumed for a value of a beta table")
    cli.output_option(arguments, "panel to write, .h5", is_file=True)
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for torch and pandas.
    from methmix.normals.panel_command import make_and_write

    make_and_write(options)


if __name__ == "__main__":
    sys.exit(main())
