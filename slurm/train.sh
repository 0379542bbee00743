# What train_original.sh and train_sparse.sh share; they call: train <arm> <configuration>.
# METHMIX_ALLOW_CPU=1 trains without a GPU (slow; for tests).

fail() {
    echo "error: $1" >&2
    exit 2
}

train() {
    local arm=$1 config=$2
    # In a batch script $0 is SLURM's copy, so the place to start from is where sbatch was typed.
    cd "${SLURM_SUBMIT_DIR:-$PWD}" || fail "cannot enter ${SLURM_SUBMIT_DIR:-$PWD}"
    [ -f Snakefile ] && [ -f "$config" ] ||
        fail "$PWD is not the repository root: there is no Snakefile or no $config; cd there and type sbatch again"
    [ -x .venv/bin/python ] && PATH="$PWD/.venv/bin:$PATH"
    python -c 'import methmix' 2>/dev/null ||
        fail "python has no methmix: make the environment first with: make environment"
    local device=cuda
    [ "${METHMIX_ALLOW_CPU:-}" = 1 ] && device=auto
    srun --ntasks=1 python -m methmix.training --config "$config" --arm "$arm" --device "$device"
}
