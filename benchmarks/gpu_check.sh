#!/usr/bin/env bash
# Tests and times xlogreg on a machine with CUDA, in stages that end by themselves:
#
#   benchmarks/gpu_check.sh smoke     a minute: does it work, how fast is it; benchmarks/gpu_smoke.py
#   benchmarks/gpu_check.sh tests     the whole test suite, those for a GPU first; more arguments go to pytest, such as
#                                     --left, which runs those that the last run had no time for
#   benchmarks/gpu_check.sh timings   the libraries beside each other, and profiles; benchmarks/gpu.py, which gets them
#   benchmarks/gpu_check.sh all       one after the other, whatever fails
#
# A folder of wheels may follow the stage: what the machine lacks of them is installed into a folder of this run, and
# nothing else is touched. numpy, array-api-compat, threadpoolctl and CuPy are needed, for the tests pytest; PyTorch,
# JAX and scikit-learn are taken along where they are. xlogreg itself need not be installed.
#
# PYTHON names the interpreter (python3), BUDGET the seconds of each stage (60 for smoke, else 450), OUT the folder of
# the results (benchmarks/results). Exit codes: 0 all is well; 1 a test or a fit failed; 2 wrong usage, or something is
# missing; 3 no CUDA; 124 the time of the tests was up, and none had failed; 130 or 137 a stage did not end in time and
# was interrupted or killed. "all" has the first that is not 0 nor 124.
set -euo pipefail

STAGE=${1:-}
case $STAGE in
smoke | tests | timings | all) shift ;;
*)
    sed -n '2,19s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

NAME=${PYTHON:-python3}
PYTHON=$(command -v "$NAME") || { echo "gpu_check.sh: there is no $NAME" >&2 && exit 2; }
PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON") # relative paths end with the next lines
WHEELS=
if compgen -G "${1:-}/*.whl" >/dev/null; then
    WHEELS=$(cd "$1" && pwd)
    shift
elif [ -n "${1:-}" ] && [ -d "$1" ] && [ "$STAGE" != tests ]; then
    echo "gpu_check.sh: there are no wheels in $1" >&2
    exit 2
fi
[ -z "${OUT:-}" ] || OUT=$(cd "$OUT" && pwd)
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONUNBUFFERED=1                  # or the lines of a run that is killed are lost
export XLA_PYTHON_CLIENT_PREALLOCATE=false # or JAX takes three quarters of the GPU's memory from the others

if [ -n "$WHEELS" ]; then
    SITE=$(mktemp -d)
    trap 'rm -rf "$SITE"' EXIT
    export PYTHONPATH=$PYTHONPATH:$SITE
    ABSENT=$("$PYTHON" -c 'import sys
from importlib.metadata import Distribution
from pathlib import Path
for name in sorted({path.name.partition("-")[0] for path in Path(sys.argv[1]).glob("*.whl")}):
    if next(Distribution.discover(name=name), None) is None:
        print(name)' "$WHEELS")
    for ONE in $ABSENT; do # one by one: a wheel for another Python is no reason to do without the others
        "$PYTHON" -m pip --isolated --disable-pip-version-check install --quiet --no-index --no-deps --no-cache-dir \
            --find-links "$WHEELS" --target "$SITE" "$ONE" >&2 || echo "gpu_check.sh: $ONE was not installed" >&2
    done
fi
NEEDED=numpy,array_api_compat,threadpoolctl
case $STAGE in tests | all) NEEDED=$NEEDED,pytest ;; esac
if ! MISSING=$("$PYTHON" -c "import $NEEDED" 2>&1); then
    echo "gpu_check.sh: $NAME lacks what this needs: ${MISSING##*$'\n'}" >&2
    exit 2
fi
REASON=$("$PYTHON" -c 'from xlogreg.arrays.place import why_unusable; print(why_unusable("cupy"))')
if [ -n "$REASON" ]; then
    echo "gpu_check.sh: CuPy does not work on this machine: $REASON" >&2
    exit 3
fi

BEGAN=0 # of the stage, in seconds since the start of this script

limited() { # seconds, command: interrupted where it does not end by itself, so that it still sums up, and then killed
    timeout --preserve-status -s INT -k 5 "$(($1 + 20))" "${@:2}"
}

left() { # seconds of the stage, of which installing has taken some
    echo "$((${BUDGET:-$1} - SECONDS + BEGAN))"
}

run_smoke() {
    "$PYTHON" -m xlogreg info
    local seconds
    seconds=$(left 60)
    limited "$seconds" "$PYTHON" -m benchmarks.gpu_smoke --budget "$seconds" "$@"
}

run_tests() {
    local seconds
    seconds=$(left 450)
    # doctests of a module whose extra is missing are skipped
    limited "$seconds" "$PYTHON" -m pytest -m "" -rsfE -p benchmarks.gpu_tests --budget "$seconds" \
        --doctest-ignore-import-errors --continue-on-collection-errors "$@"
}

run_timings() {
    local seconds
    seconds=$(left 450)
    # it lets the last fits end in the 25 seconds after its budget
    SCIPY_ARRAY_API=1 limited "$seconds" "$PYTHON" -m benchmarks.gpu --budget "$((seconds - 25))" "$@"
}

if [ "$STAGE" != all ]; then
    CODE=0
    "run_$STAGE" "$@" || CODE=$?
    exit "$CODE"
fi
CODE=0
for EACH in smoke tests timings; do
    echo "== $EACH"
    ONE=0
    "run_$EACH" || ONE=$?
    echo "== $EACH: exit code $ONE"
    case $CODE in 0 | 124) [ "$ONE" = 0 ] || CODE=$ONE ;; esac
    BEGAN=$SECONDS
done
exit "$CODE"
