"""Deconvolve samples with a trained model: a table (CSV), a record (JSON) and a report (HTML)."""

import argparse
import sys
from pathlib import Path

from methmix import cli
from methmix.prediction.statement import STATEMENT


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.prediction", f"{__doc__} {STATEMENT}")
    arguments.add_argument("--checkpoint", type=Path, required=True, help="checkpoint_best.pt, or a published folder")
    arguments.add_argument("--describe", action="store_true", help="print the model card, and end")
    arguments.add_argument(
        "--format", choices=["text", "huggingface"], default="text",
        help="with --describe: huggingface writes card, weights and configuration into the folder --output",
    )  # fmt: skip
    arguments.add_argument(
        "--samples", type=Path, nargs="+", metavar="FILE",
        help="tables, Bismark coverage, bedMethyl, .pat.gz, ... (docs/formats.md); patterns; - is standard input",
    )  # fmt: skip
    arguments.add_argument(
        "--sheet", type=Path, help="instead of --samples: TSV sample, file[, patient, date, name_in_file, group, batch]"
    )
    arguments.add_argument(
        "--output",
        type=Path,
        help="table .csv; beside it _wide.csv, .json, .html, pages of patients, *_mqc.json (MultiQC)",
    )
    arguments.add_argument("--reference", type=Path, help="reference.h5 whose tissues and regions must be the model's")
    arguments.add_argument("--regions-file", type=Path, help="BED with CpG indices, for .beta and .pat.gz")
    arguments.add_argument("--genome", help="genome build of the samples, such as hg38")
    arguments.add_argument(
        "--zero-based", action=argparse.BooleanOptionalAction,
        help="whether coverage files count positions from 0; None: as their lines show",
    )  # fmt: skip
    arguments.add_argument(
        "--modification", choices=["5mC", "5mC+5hmC"],
        help="what counts as methylated in bedMethyl; None: what does in the reference (bisulfite: 5mC+5hmC)",
    )  # fmt: skip
    arguments.add_argument(
        "--manifest", type=Path,
        help="manifest of the array (Illumina's CSV, or InfiniumAnnotation's TSV), for tables of probes",
    )  # fmt: skip
    arguments.add_argument(
        "--tissues", nargs="+", metavar="NAME",
        help="report proportions among these tissues alone: those of the whole model, which is trained for all, over "
        "their sum; nnls_proportion is solved for these alone, as if a sample had no others",
    )  # fmt: skip
    arguments.add_argument("--exclude-regions", type=Path, metavar="BED", help="leave out regions that overlap these")
    arguments.add_argument("--threads", type=int, metavar="N", help="CPU threads of the model; None: all")
    arguments.add_argument("--pseudo-depth", type=int, default=30, help="depth assumed for a value of a beta table")
    _add_options_of_answers(arguments)
    return cli.run(_body, arguments)


def _add_options_of_answers(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say what is answered, beside what."""
    arguments.add_argument("--control-group", metavar="NAME", help="group of the sheet to compare the others with")
    arguments.add_argument(
        "--background", nargs="+", metavar="NAME", help="tissues not of interest, such as blood cell types"
    )
    arguments.add_argument(
        "--normals", metavar="FILE",
        help="panel of normals, made by python -m methmix.normals; controls: make one of the control group, which is "
        "done without this option too, where there are enough; none: use none",
    )  # fmt: skip
    arguments.add_argument(
        "--one-depth", type=float, metavar="D",
        help="mean depth that samples are thinned to, for a comparison of groups that depth cannot explain; None: what "
        "90 %% of the samples reach",
    )  # fmt: skip
    arguments.add_argument(
        "--explain", action=argparse.BooleanOptionalAction,
        help="which regions drive each call, and whether it rests on few; takes 0.03 s per call and 50,000 regions; "
        "None: for up to 50 samples",
    )  # fmt: skip
    arguments.add_argument(
        "--presence-threshold", type=float, metavar="P",
        help="proportions of tissues with at least this presence probability, 0-1; None: the model's own threshold, at "
        "which alone limits of detection are known",
    )  # fmt: skip
    arguments.add_argument(
        "--unknown", action="store_true", help="estimate a component that the reference lacks, for samples of poor fit"
    )


def _body(options: argparse.Namespace) -> None:
    # Imported here, so that --help does not wait for torch and pandas.
    from methmix.prediction.prediction_command import describe, predict_and_write

    (describe if options.describe else predict_and_write)(options)


if __name__ == "__main__":
    sys.exit(main())
