#!/bin/bash
# Train the original model of phase 2 as one SLURM job, without Snakemake in the loop:
#   sbatch slurm/train_original.sh
# from the repository root, after `snakemake results/default/mixtures/phase2_validation_mixtures.h5`.
# The same command goes on with a training that was interrupted. Options before the script's name are sbatch's and
# override those below (--nodes=2: two nodes train together); options after it are those of methmix.training, such as
#   sbatch slurm/train_original.sh --experiment config/full_scale.yaml
#SBATCH --job-name=methmix-phase2-original
#SBATCH --partition=gpu
#SBATCH --gres=gpu:a100:1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8000M
#SBATCH --time=02:00:00
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@120
set -euo pipefail

source "${SLURM_SUBMIT_DIR:-.}/slurm/functions.sh" ||
    { echo "error: this is not the repository root; cd there and type: sbatch slurm/train_original.sh" >&2; exit 2; }
begin
train original config/phase2_multitissue.yaml "$@"
