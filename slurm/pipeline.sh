#!/bin/bash
# Run Snakemake itself as a small job, for clusters that forbid long processes on the login node:
#   sbatch slurm/pipeline.sh [what you would type after `snakemake --profile slurm`]
# from the repository root. Cancelling it cancels its jobs too; the trainings among them save their state, and the
# same command goes on.
#SBATCH --job-name=methmix-pipeline
#SBATCH --partition=cpu
#SBATCH --cpus-per-task=1
#SBATCH --mem=2000M
#SBATCH --time=3-00:00:00
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -euo pipefail

source "${SLURM_SUBMIT_DIR:-.}/slurm/functions.sh" ||
    { echo "error: this is not the repository root; cd there and type: sbatch slurm/pipeline.sh" >&2; exit 2; }
begin
command -v snakemake > /dev/null || fail "there is no snakemake: type make environment, or adapt slurm/environment.sh"

# The names of the jobs that Snakemake submits begin with this one's number.
me=$SLURM_JOB_ID
prefix=methmix-$me

jobs_of_mine() {
    squeue --noheader --me --format='%i %j' | awk -v prefix="${prefix}_" 'index($2, prefix) == 1 { print $1 }'
}

cancel_jobs() {
    local ids
    mapfile -t ids < <(jobs_of_mine)
    [ ${#ids[@]} -eq 0 ] && return
    echo "cancelling the jobs of $me: ${ids[*]}"
    scancel "${ids[@]}" || true
}

# Jobs of an earlier start of this one: two must not do the same.
cancel_jobs
while [ -n "$(jobs_of_mine)" ]; do sleep 1; done

# Snakemake's own lock outlives it when it is killed, as below; that no two pipelines are submitted is up to you.
snakemake --nolock --profile slurm --slurm-jobname-prefix "$prefix" "$@" &
head=$!
# On SIGTERM Snakemake would wait for its jobs, for hours; here they are cancelled, and go on the next time.
told=
trap 'told=warned; kill -KILL $head' USR1
trap 'told=ended; kill -KILL $head' TERM
code=0
wait $head || code=$?
case $told in
    warned) queue_again ;;
    ended) cancel_jobs ;;
esac
exit $code
