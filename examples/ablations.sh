#!/usr/bin/env bash
# The ablations of STARS (arXiv:2407.10935): layer decay, queue, epochs, tuned share of the encoder, two stages or three.
# One factor at a time, around the preset; runs with the same stage 1 train it once. The report tells the rows apart.
#
#   bash examples/ablations.sh PROTOCOL [options of every run, but --set and --runs-dir]
#   bash examples/ablations.sh xsub                                   the paper's size: wants a GPU
#   bash examples/ablations.sh xsub --preset quick --seed 0 --seed 1  some 300 clips on two cores: an hour
#
# To choose a setting rather than to report on it, add --validation subjects: the test part is then not read.
# Other values: DECAYS="0.3 0.6" QUEUES="" bash examples/ablations.sh ... ; where results lie: RUNS=FOLDER.
set -euo pipefail
if [[ "${1:---help}" == -* ]]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0"
  exit 2
fi
protocol="$1"
shift
runs="${RUNS:-runs-ablations}"

failed=0
# What fails does not keep the others from running; what is stopped stops all.
run() {
  stars-bench run "$@" --protocol "$protocol" --runs-dir "$runs" --eval knn || failed=$?
  if ((failed >= 128)); then exit "$failed"; fi
}

run mamp "$@"         # stage 1 alone
run stars "$@"        # two stages
run stars-3stage "$@" # the heads alone between them
for decay in ${DECAYS-0.25 0.65 1.0}; do run stars "$@" --set tune_layer_decay="$decay"; done
for queue in ${QUEUES-1024 8192 65536}; do run stars "$@" --set queue_size="$queue"; done
for epochs in ${TUNE_EPOCHS-5 10 40}; do run stars "$@" --set tune_epochs="$epochs"; done
for share in ${SHARES-0.25 0.75 1.0}; do run stars "$@" --set tune_share="$share"; done
# Another length of stage 1 is another schedule, so each trains its own (the paper's preset: 400; quick: 100).
for epochs in ${EPOCHS-200}; do run stars "$@" --set epochs="$epochs"; done

stars-bench report --runs-dir "$runs"
exit "$failed"
