"""Say what files are, of which genome builds they can be, and what a model would read of them."""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.formats", __doc__ or "")
    arguments.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files of any format of docs/formats.md")
    arguments.add_argument("--checkpoint", type=Path, help="model, whose regions are looked for in the files")
    arguments.add_argument("--genome", help="genome build of the files, such as hg38")
    arguments.add_argument("--regions-file", type=Path, help="BED with CpG indices, for .beta and .pat.gz")
    arguments.add_argument(
        "--zero-based", action=argparse.BooleanOptionalAction, help="as in methmix.prediction"
    )  # fmt: skip
    arguments.add_argument("--modification", choices=["5mC", "5mC+5hmC"], help="as in methmix.prediction")
    arguments.add_argument("--manifest", type=Path, help="as in methmix.prediction")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> int:
    # Imported here, so that --help does not wait for pandas.
    from methmix.errors import InputError
    from methmix.formats.describe_file import describe_file
    from methmix.formats.model_regions import read_model_regions

    model = read_model_regions(options.checkpoint) if options.checkpoint else None
    names = ("genome", "regions_file", "zero_based", "modification", "manifest")
    reading = {name: getattr(options, name) for name in names}
    code = 0
    for path in options.files:
        try:
            for line in describe_file(path, model, **reading):
                code = max(code, 2 * line.startswith("  refused: "))
                sys.stdout.write(line + "\n")
        except InputError as error:
            code = error.exit_code
            sys.stdout.write(f"{error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
