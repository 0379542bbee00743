"""Print all errors and warnings of this version, what they mean and what to do, as Markdown: docs/troubleshooting.md.

They are collected from the code, so that the page says what the code does.
"""

import sys

from methmix import cli


def main() -> int:
    """Run the command line."""
    return cli.run(lambda _: _print(), cli.parser("methmix.troubleshooting", __doc__ or ""))


def _print() -> None:
    # Imported here, so that --help is quick.
    from methmix.troubleshooting.page import troubleshooting_page

    sys.stdout.write(troubleshooting_page())


if __name__ == "__main__":
    sys.exit(main())
