#!/bin/bash
# Train the sparse model of phase 2 as one SLURM job, without Snakemake in the loop:
#   sbatch slurm/train_sparse.sh
# from the repository root, after `snakemake results/default/mixtures/phase2_validation_mixtures.h5`.
# The same command goes on with a training that was interrupted. Options given to sbatch override those below.
#SBATCH --job-name=methmix-phase2-sparse
#SBATCH --partition=gpu
#SBATCH --gres=gpu:a100:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --output=logs/%x-%j.log
set -euo pipefail

source "${SLURM_SUBMIT_DIR:-$PWD}/slurm/train.sh" ||
    { echo "error: submit from the repository root: sbatch slurm/train_sparse.sh" >&2; exit 2; }
train sparse config/phase2_sparse.yaml
