# shellcheck shell=sh
# Read by every job before it starts, through `precommand` in config.yaml and by the batch scripts, in the repository
# root: what this cluster needs before `python` is the right one. It must be plain sh and end without an error.

# A cluster with environment modules (Lmod), which plain sh may not know yet:
# command -v module > /dev/null || . /usr/share/lmod/lmod/init/sh
# module purge
# module load Python/3.11 CUDA/12.4

# The environment that `make environment` has made, if there is one; otherwise the `python` of the shell that submits.
if [ -x .venv/bin/python ]; then PATH="$PWD/.venv/bin:$PATH"; fi
