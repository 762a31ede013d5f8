#!/usr/bin/env bash
# A list of pictures in eight shards, a task of a Slurm array each: `sbatch slurm_array.sh list.txt faces`, and then
# `retinaface merge faces --out faces.jsonl`. What was preempted goes on where it was; to run some tasks again:
# `sbatch --array=3,5 slurm_array.sh list.txt faces`.
#SBATCH --job-name=faces
#SBATCH --array=0-7
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --gres=gpu:1
#SBATCH --requeue
set -euo pipefail
list=$1 out=$2

# The number of shards stands here, too: of tasks that are run again alone, Slurm counts only those.
retinaface detect "$list" --out "$out" --shard auto/8 --size "${SIZE:-640}" --batch 8 --quiet
