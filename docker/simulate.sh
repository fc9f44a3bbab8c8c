#!/usr/bin/env bash
# usage: docker/simulate.sh [ARGUMENTS OF resumable verify]
#
# Three containers of two ranks each learn digits. One dies in the middle and is replaced; later the one with rank 0 dies for
# good, and the other two go on. Every batch is then compared with the uninterrupted run.
#
# PYTHON names the interpreter with this project installed (default: .venv/bin/python).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

PYTHON=$python docker/image.sh resumable:local
exec "$python" -m resumable.launch verify --cluster compose --nnodes 2:3 --nproc-per-node 2 \
    --fault 'nodeloss(replace=1)@step=7:node=1' --fault 'nodeloss@step=120:rank=0' "$@" \
    -m resumable.launch.jobs.digits --epochs 24 --workers 2
