"""Check the models: shapes, parameters, exact zeros, and that each term of the loss has a gradient."""

import argparse
import sys

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.models", __doc__ or "")
    arguments.add_argument("--n-regions", type=int, default=1000, help="regions of the models that are checked")
    arguments.add_argument("--n-tissues", type=int, default=22, help="tissues of the models that are checked")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help need not wait for torch.
    from methmix.models.selfcheck import self_check

    self_check(options.n_regions, options.n_tissues)


if __name__ == "__main__":
    sys.exit(main())
