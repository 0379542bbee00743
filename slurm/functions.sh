# shellcheck shell=bash
# What the batch scripts of this folder share.

# How often a job that runs out of time is started again.
MAX_RESTARTS=10

fail() {
    echo "error: $1" >&2
    exit 2
}

# Enter the repository, send the output to logs/<job name>-<job>.log, and take the environment.
begin() {
    [ -n "${SLURM_JOB_ID:-}" ] || fail "this is a batch script: type sbatch slurm/<script>"
    # In a batch script $0 is SLURM's copy, so the place to start from is where sbatch was typed.
    cd "$SLURM_SUBMIT_DIR"
    # SLURM's own file is in that folder: one in a folder that is not there would fail a job that was submitted
    # elsewhere without a word to anybody. Renamed, it goes on to get what SLURM has to say.
    local from=$SLURM_JOB_NAME-$SLURM_JOB_ID.out to=logs/$SLURM_JOB_NAME-$SLURM_JOB_ID.log
    if [ -f "$from" ]; then
        mkdir -p logs
        if [ -f "$to" ]; then cat "$from" >> "$to" && rm "$from"; else mv "$from" "$to"; fi
        exec >> "$to" 2>&1
    fi
    # What modules and conda run is not written for these.
    set +eu
    source slurm/environment.sh
    set -eu
    export PYTHONPATH=$PWD/src
    python -c 'import methmix, pydantic, h5py' 2> /dev/null ||
        fail "$(command -v python || echo python) cannot run methmix: type make environment, or adapt slurm/environment.sh"
}

# The time limit is near and everything is saved: queue this job again, within bounds.
queue_again() {
    if [ "${SLURM_RESTART_COUNT:-0}" -ge $MAX_RESTARTS ]; then
        echo "error: started $((MAX_RESTARTS + 1)) times and out of time again; ask for more: sbatch --time=..." >&2
    elif scontrol requeue "$SLURM_JOB_ID"; then
        echo "the time limit is near; job $SLURM_JOB_ID is queued again to go on"
        sleep 60
    else
        echo "error: the time limit is near, and SLURM does not queue the job again; submit it again to go on" >&2
    fi
}

# Told to end. Only SLURM knows why: it queues a preempted job again but leaves a cancelled one cancelled, if the job
# waits for its end. Queueing it again here would bring cancelled jobs back to life.
await_end() {
    local told waited=0
    while told=$(scontrol show job "$SLURM_JOB_ID") && [[ $told == *JobState=RUNNING* ]]; do
        # Preempted: there may be much of the grace time left. Otherwise somebody has sent just a signal.
        [[ $told == *PreemptTime=None* ]] && [ $waited -ge 60 ] && return
        sleep 5
        waited=$((waited + 5))
    done
    sleep 60
}

# train <arm> <configuration> [options of methmix.training]; METHMIX_ALLOW_CPU=1 trains without a GPU (slow; for tests).
train() {
    local arm=$1 config=$2 code=0
    shift 2
    [[ " $* " != *" --processes"* ]] ||
        fail "--processes is not for batch scripts: sbatch --nodes=2, or --gres=gpu:a100:2 --ntasks-per-node=2"
    # The ranks of a training on several GPUs meet at the first one, which runs where this script runs.
    MASTER_ADDR=$(hostname)
    MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
    # As many as with Snakemake: another number of threads adds up in another order.
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}
    export MASTER_ADDR MASTER_PORT OMP_NUM_THREADS
    # Under srun the training gets the signals that SLURM sends to a job. When one rank has ended the others have a
    # minute: the first may still be saving.
    srun --export=ALL --kill-on-bad-exit=0 --wait=60 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
        python -m methmix.training --config "$config" --arm "$arm" --device cuda "$@" || code=$?
    case $code in
        # Warned by the lead signal; saved, or too early to have anything to save.
        75 | 138) queue_again ;;
        143) await_end ;;
    esac
    exit $code
}
