"""Measure computing costs, as ratios within one run. No result depends on them. For Linux.

With --gpu: checks of the GPU, then its times at the full size, in at most --seconds; exit code 1 if a check fails.
"""

import argparse
import sys
from pathlib import Path

from methmix import cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.benchmark", __doc__ or "")
    add = arguments.add_argument
    add("--config", type=Path, help="the experiment; with --gpu by default config/full_scale.yaml, else needed")
    cli.output_option(arguments, "folder to write benchmark, gpu, reading or panel.json to; the first two with a page")
    kinds = arguments.add_mutually_exclusive_group()
    kinds.add_argument("--full", action="store_true", help="more repetitions and larger sizes")
    kinds.add_argument("--gpu", action="store_true", help="the run for a GPU; its data are made on the spot")
    kinds.add_argument("--reading", action="store_true", help="how long files of whole genomes take to be read")
    kinds.add_argument("--panel", action="store_true", help="what a panel of normals costs, and samples beside it")
    add(
        "--fraction", type=float, default=1.0, help="with --reading or --panel: proportion of the full size, 0.001 to 1"
    )
    add("--seconds", type=float, default=300.0, help="with --gpu: time limit; what is known by then is written")
    add(
        "--device",
        choices=["auto", "cpu"],
        default="auto",
        help="auto: a GPU if there is one; with --gpu, cpu is a dry run at a small size (config/tiny.yaml)",
    )
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> int:
    # Imported here, so that --help does not load torch.
    if options.gpu:
        from methmix.benchmark.gpu_run import run_on_gpu

        return run_on_gpu(options.config, options.output, options.device, options.seconds)
    from methmix.errors import InputError

    if not 0.001 <= options.fraction <= 1:
        raise InputError(f"--fraction: expected 0.001 to 1, found {options.fraction:g}")
    if options.reading:
        from methmix.benchmark.reading_speed import measure_reading

        measure_reading(options.output, options.fraction)
        return 0
    if options.panel:
        from methmix.benchmark.panel_cost import measure_panel

        measure_panel(options.output, options.fraction)
        return 0
    from methmix.benchmark.measure import benchmark

    if options.config is None:
        raise InputError("--config: name the experiment, for example config/full_scale.yaml")
    benchmark(options.config, options.output, "full" if options.full else "quick", options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
