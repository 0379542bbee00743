"""Sweep keys of an arm: suggest points, choose one on validation, report it with its confirmation on test."""

import argparse
import sys
from pathlib import Path

from methmix import cli

_FILES = {
    "suggest": (),
    "choose": ("choice.json", "points.csv", "runs.csv", "recommended.yaml", "experiment.yaml"),
    "report": ("sweep.html", "test.json"),
}


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.sweep", __doc__ or "")
    commands = cli.subcommands(
        arguments,
        {
            "suggest": "suggest the points of one generation from the results of all earlier ones",
            "choose": "choose a point on validation; writes its configuration and the tables",
            "report": "the page, with the chosen point and the shipped one on test",
        },
    )
    for name, command in commands.items():
        cli.config_option(command)
        command.add_argument("--runs", type=Path, nargs="+", required=True, help="results/<name>/<phase> of each seed")
        cli.output_option(command, "folder of the sweep", files=_FILES[name])
    commands["suggest"].add_argument("--generation", type=int, required=True, help="which one; the first is 1")
    bodies = dict(zip(commands, (_suggest, _choose, _report), strict=True))
    return cli.run(lambda options: bodies[options.command](options), arguments)


# Each command imports its own modules, so that --help does not wait for numerical libraries.


def _suggest(options: argparse.Namespace) -> None:
    import pandas as pd

    from methmix.config.load import load_experiment
    from methmix.sweep.choice import read_runs
    from methmix.sweep.points import SweptArm, generation_file, write_generation
    from methmix.sweep.suggestions import suggest

    swept = SweptArm(load_experiment(options.config), options.runs[0].name)
    earlier = swept.known(options.output, options.generation - 1)
    first = options.generation == 1
    results = pd.DataFrame() if first else read_runs(options.runs[:1], earlier).set_index("point")
    points = suggest(swept, options.generation, earlier[1:], results)
    write_generation(generation_file(options.output, options.generation), points)


def _choose(options: argparse.Namespace) -> None:
    from methmix.config.load import load_experiment
    from methmix.sweep.choice import choose
    from methmix.sweep.points import SweptArm

    swept = SweptArm(load_experiment(options.config), options.runs[0].name)
    choose(swept, swept.known(options.output), options.runs, options.output)


def _report(options: argparse.Namespace) -> None:
    from methmix.config.load import load_experiment
    from methmix.sweep.points import SweptArm
    from methmix.sweep.sweep_page import write_sweep_page

    swept = SweptArm(load_experiment(options.config), options.runs[0].name)
    write_sweep_page(swept, options.runs, options.output)


if __name__ == "__main__":
    sys.exit(main())
