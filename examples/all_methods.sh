#!/usr/bin/env bash
# Every shipped method under one protocol, by nearest neighbours, linear probe and, where it has one, its own classifier; then
# the table. Methods with the same stage 1 train it once. A run that was interrupted goes on: give the same command again.
#
#   bash examples/all_methods.sh PROTOCOL [options of every run]
#   bash examples/all_methods.sh xsub                                                  the paper's size: wants a GPU
#   bash examples/all_methods.sh xsub --preset quick --seed 0 --seed 1 --seed 2        some 300 clips on two cores: hours
#
# Fewer methods: METHODS="mamp stars" bash examples/all_methods.sh ... ; where results lie: RUNS=FOLDER.
set -euo pipefail
protocol="${1:?a protocol, as xsub}"
shift
runs="${RUNS:-runs-methods}"
relatives="untrained raw mamp stars moco-tuning dino-tuning stars-3stage stars+flip mae mamp+nnclr nnclr-scratch"
read -ra methods <<<"${METHODS:-$relatives s-jepa supervised stgcn ctrgcn skeletonclr aimclr hiclr cmd umurl usdrl}"

failed=0
stars-bench run "${methods[@]}" --protocol "$protocol" --runs-dir "$runs" "$@" || failed=$?
stars-bench report --runs-dir "$runs"
exit "$failed"
