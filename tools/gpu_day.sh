#!/usr/bin/env bash
# Everything to run on a machine with a GPU: build for it, tests, benchmarks, compute-sanitizer. Each step has a time limit.
#     tools/gpu_day.sh FOLDER [kan] [nlse] [pc] [gp]     (all four if none is named)
# Figures and logs go to FOLDER. Goes on after a failure; what failed is told at the end. Needs CUDA, and Python with
# torch and the build requirements and test dependencies of pyproject.toml.
set -uo pipefail
folder=$(mkdir -p "${1:?a folder for figures and logs}" && realpath "$1")
shift
families=("$@")
[ $# -gt 0 ] || families=(kan nlse pc gp)
for family in "${families[@]}"; do
    [[ $family =~ ^(kan|nlse|pc|gp)$ ]] || { echo "no family $family" >&2; exit 2; }
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sed -n '1s/[.]//p')
failed=()

try() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$folder/$name.log" 2>&1; then
        echo "passed  $((SECONDS - start)) s  $name"
    else
        failed+=("$name")
        echo "FAILED  $((SECONDS - start)) s  $name"
        tail -n 15 "$folder/$name.log"
    fi
}

sanitize() {
    local tool=$1 tests=$2 selection=$3
    timeout 100 compute-sanitizer --tool "$tool" --error-exitcode 1 python3 -m pytest -q -m gpu "$tests" -k "$selection"
}

CMAKE_ARGS="-DCMAKE_CUDA_ARCHITECTURES=$architecture -DFOURFOLD_CUDA=ON -DFOURFOLD_ONE_LEVEL=v3" \
    try build python3 -m pip install --no-deps --no-build-isolation --config-settings=build-dir=build/gpu -e .
try config python3 -c 'import fourfold; fourfold.show_config()'

# pytest and the benchmarks gpu_<name>.py of a family; seconds for all tests.
measure() {
    local family=$1 seconds=$2 name
    shift 2
    try "test_$family" timeout "$seconds" python3 -m pytest -q -m gpu "tests/$family"
    for name in "$@"; do
        PYTHONPATH=benchmarks try "speed_$name" timeout 120 \
            python3 "benchmarks/gpu_$name.py" --json "$folder/gpu_$name.json"
    done
}

kan() {
    measure kan 120 kan
    try memcheck_kan sanitize memcheck tests/kan "shapes and float32"
    try racecheck_kan sanitize racecheck tests/kan "degrees and bfloat16"
    try racecheck_bases sanitize racecheck tests/kan/test_bases_gpu.py "gaussian or True-5-3"
}

nlse() {
    measure nlse 240 nlse nlse_gradients
    try memcheck_nlse sanitize memcheck tests/nlse "lengths and own and ([256- or [2048- or [250- or [125-)"
    try racecheck_nlse sanitize racecheck tests/nlse "test_lengths and plain and ([64- or [2048-)"
    try memcheck_adaptive sanitize memcheck tests/nlse/test_ensemble_gpu.py "test_adaptive_steps and own and complex128"
    try racecheck_adaptive sanitize racecheck tests/nlse/test_ensemble_gpu.py "test_adaptive_steps and plain and 64-"
}

pc() {
    measure pc 120 pc
    try memcheck_pc sanitize memcheck tests/pc/test_cuda.py "17-40 or damage"
    try racecheck_pc sanitize racecheck tests/pc/test_cuda.py "3-2 or log_prob and 1-2"
    try memcheck_em sanitize memcheck tests/pc/test_cuda_em.py "17-40 or impossible"
    try racecheck_em sanitize racecheck tests/pc/test_cuda_em.py "a_step and tree and 17-40 or draws and tree and 17-40"
}

gp() {
    measure gp 120 gp
    try memcheck_gp sanitize memcheck tests/gp/test_gpu.py "as_on_the_cpu and float32 and 7"
    try racecheck_gp sanitize racecheck tests/gp/test_gpu.py "eigenproblems or (as_on_the_cpu and 7)"
    try memcheck_series sanitize memcheck tests/gp/test_series_gpu.py "as_on_the_cpu and 61 and float64"
    try memcheck_covariances sanitize memcheck tests/gp/test_kernels_gpu.py "as_on_the_cpu and 257 and float64"
    try racecheck_covariances sanitize racecheck tests/gp/test_kernels_gpu.py "as_on_the_cpu and 257 and float32"
}

for family in "${families[@]}"; do $family; done

[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[*]}"
[ ${#failed[@]} -eq 0 ]
