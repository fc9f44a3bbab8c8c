#!/usr/bin/env bash
# usage: docker/matrix.sh [local|compose]...
#
# Loses, replaces, preempts and cuts off every node of three, alone and two at once, where the job waits for all three and
# where it goes on without; the built-in job must come out VALID each time, with three whole epochs after the fault. Both
# kinds of nodes by default, 38 runs each. Evidence goes to runs/matrix, or RUNS.
#
# PYTHON names the interpreter with this project installed (default: .venv/bin/python).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
runs=${RUNS:-runs/matrix}
comes_back='nodeloss(replace=0),nodeloss(replace=5),preempt(grace=10),partition(for=12)'
worst=0

hit() { # CLUSTER NNODES KINDS RANKS
    echo "$1, --nnodes $2, $3, nodes $4" >&2
    "$python" -m resumable.launch sweep --quiet --cluster "$1" --nnodes "$2" --nproc-per-node 1 --at 7 --kinds "$3" --ranks "$4" \
        --run-dir "$runs/$1-${2/:/-}-${4//[,+]/}" || worst=$?
}

[ $# -gt 0 ] || set -- local compose
[ "$*" = local ] || PYTHON=$python docker/image.sh resumable:local > /dev/null
for cluster in "$@"; do
    hit "$cluster" 3 "$comes_back" each,0+2
    hit "$cluster" 2:3 "$comes_back" each,0+2
    hit "$cluster" 2:3 nodeloss each
    hit "$cluster" 1:3 nodeloss 0+1,0+2,1+2
done
exit "$worst"
