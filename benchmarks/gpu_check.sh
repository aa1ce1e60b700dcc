#!/usr/bin/env bash
# Tests and times xlogreg on a machine with CUDA, in stages of under eight minutes each:
#
#   benchmarks/gpu_check.sh tests     the whole test suite, slow tests and GPU included; more arguments go to pytest
#   benchmarks/gpu_check.sh timings   benchmarks/gpu.py, which writes benchmarks/results/gpu-<date>.json; they go to it
#   benchmarks/gpu_check.sh all       one after the other
#
# Needs numpy, array-api-compat, threadpoolctl, pytest and CuPy; takes PyTorch, JAX and scikit-learn along where they
# are. xlogreg itself need not be installed. What is missing of the first four is installed from a folder of wheels, where
# the argument after the stage is one: `pip download -d wheels array-api-compat threadpoolctl pytest` fills it elsewhere.
# PYTHON names the interpreter (python3). Exit code 2: wrong usage, 3: no CUDA.
set -euo pipefail

LIMIT=455 # seconds, after which a stage is interrupted: pytest then still sums up, and 124 is the exit code
STAGE=${1:-}
case $STAGE in
tests | timings | all) shift ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

NAME=${PYTHON:-python3}
PYTHON=$(command -v "$NAME") || { echo "gpu_check.sh: there is no $NAME" >&2 && exit 2; }
PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON") # relative paths end with the next line
WHEELS=
if compgen -G "${1:-}/*.whl" >/dev/null; then
    WHEELS=$(cd "$1" && pwd)
    shift
fi
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export XLA_PYTHON_CLIENT_PREALLOCATE=false # or JAX takes three quarters of the GPU's memory from the others

missing() { "$PYTHON" -c 'import numpy, array_api_compat, threadpoolctl, pytest' 2>&1 | tail -n 1; }
MISSING=$(missing || true)
if [ -n "$MISSING" ] && [ -n "$WHEELS" ]; then
    "$PYTHON" -m pip install --quiet --no-index --find-links "$WHEELS" numpy array-api-compat threadpoolctl pytest >&2 ||
        exit 2
    MISSING=$(missing || true)
fi
if [ -n "$MISSING" ]; then
    echo "gpu_check.sh: $NAME lacks what this needs: $MISSING" >&2
    exit 2
fi
REASON=$("$PYTHON" -c 'from xlogreg.arrays.place import why_unusable; print(why_unusable("cupy"))')
if [ -n "$REASON" ]; then
    echo "gpu_check.sh: CuPy does not work on this machine: $REASON" >&2
    exit 3
fi
"$PYTHON" -m xlogreg info

run_tests() {
    # doctests of a module whose extra is missing are skipped
    timeout -s INT -k 20 "$LIMIT" "$PYTHON" -m pytest -m "" -rs --doctest-ignore-import-errors "$@"
}

run_timings() {
    SCIPY_ARRAY_API=1 timeout -s INT -k 20 "$LIMIT" "$PYTHON" benchmarks/gpu.py "$@"
}

case $STAGE in
tests) run_tests "$@" ;;
timings) run_timings "$@" ;;
all)
    CODE=0
    run_tests || CODE=$?
    run_timings || CODE=$((CODE == 0 ? $? : CODE))
    exit "$CODE"
    ;;
esac
