"""Train one arm, or resume its training; or diagnose a training.

A training warns, once each, of what goes wrong, with the number and the key of the configuration to change: a presence
head or a sparsity loss that does not learn, one loss that dominates, too many or too few tissues, losses that are not
finite, a learning rate that does not reach its peak, overfitting. --diagnose RUN_DIR prints the same for a finished or
a running one, from its logs.

Keys of the sparse arm, in its configuration or with --set (how much each moves: docs/results.md, "What each knob
moves"; to try several: snakemake sweep_phase2):

  model.presence_threshold  presence probability from which a tissue is
      called, at inference; the weights stay the same. Raised: fewer false
      positives, more missed tissues
  loss.presence_threshold  true proportion from which a tissue is labelled
      present; below it, but above 0, it has no label. Lowered: tissues of
      low abundance are called more often
  loss.presence_weight  weight of the presence labels. Raised: presence is
      learnt sooner, and withstands the penalty of sparsity
  loss.sparsity_weight  weight of the expected number of tissues per mixture.
      Raised: fewer false positives, more missed tissues
  loss.mse_weight  weight of the squared error of the proportions; that of
      the absolute one is loss.mae_weight (backbone reference). From 0.1
      to 5 it changes nothing there; with backbone mlp, raised: lower error
      of large proportions

Exit codes: 0 trained; 1 or 2 failed; 75 warned by SIGUSR1 and 143 ended by SIGTERM, the state saved: the same command
resumes from there. On a single GPU a step is captured once and replayed (a CUDA graph); METHMIX_CUDA_GRAPHS=0 does
without.
"""

import argparse
import os
import sys
from pathlib import Path

from methmix import arms, cli


def main() -> int:
    """Run the command line."""
    arguments = cli.parser("methmix.training", __doc__ or "")
    add = arguments.add_argument
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", type=Path, help="the arm, for example config/phase2_sparse.yaml")
    what.add_argument(
        "--diagnose",
        type=Path,
        metavar="RUN_DIR",
        help="print the diagnosis of the training in this run folder, and end; exit code 0 with warnings too",
    )
    add("--experiment", type=Path, help="the experiment; by default the one that --config names")
    add("--arm", choices=arms.names("trained"), help="fail unless --config is for this arm")
    add("--reference", type=Path, help="by default that of the experiment's results")
    add("--validation", type=Path, help="mixtures; by default those of the experiment's results")
    add(
        "--warm-start",
        type=Path,
        metavar="PATH",
        help="checkpoint of the phase that training.warm_start names; by default that of the experiment's results; "
        "a dry run, of fewer regions, starts without",
    )
    what_folder = "run folder; by default that of the arm, or else results/<name>/<phase>/<arm>"
    cli.output_option(arguments, what_folder, required=False, files=("training.lock",))
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, e.g. training.epochs=3")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    add(
        "--allow-cpu",
        action="store_true",
        default=os.environ.get("METHMIX_ALLOW_CPU") == "1",
        help="train on the CPU where a GPU was asked for and none is found; METHMIX_ALLOW_CPU=1 does the same",
    )
    add(
        "--processes",
        type=int,
        default=1,
        help="train with so many processes on this node, one for each GPU; "
        "for several nodes start this command with srun or torchrun instead",
    )
    add("--debug", action="store_true", help="dry run: one epoch on small data made on the spot, every output written")
    return cli.run(_body, arguments)


def _body(options: argparse.Namespace) -> int:
    # Imported here, so that neither --help nor a diagnosis need wait for torch.
    if options.diagnose:
        from methmix.training.diagnosis import print_diagnosis

        print_diagnosis(options.diagnose)
        return 0
    from methmix.training.train import train

    return train(options)


if __name__ == "__main__":
    sys.exit(main())
