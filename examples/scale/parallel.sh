#!/usr/bin/env bash
# A list of pictures in shards on one machine or several, with GNU parallel: `parallel.sh list.txt faces 8`.
# A shard that fails is tried three times; the same command goes on where it was. HOSTS=one,two spreads over machines that share
# the folder; JOBS says how many shards run at once on each.
set -euo pipefail
list=$1 out=$2 shards=$3

parallel --jobs "${JOBS:-2}" ${HOSTS:+--sshlogin "$HOSTS" --workdir .} --retries 3 --halt soon,fail=1 \
  retinaface detect "$list" --out "$out" --shard "{}/$shards" --size "${SIZE:-640}" --batch 8 --quiet \
  ::: $(seq 0 $((shards - 1)))
retinaface merge "$out" --out "$out.jsonl"
