#!/usr/bin/env bash
# The runs of an experiment over many machines that share a folder, a GPU each, as a SLURM array:
#   id=$(sbatch --parsable --array=0-5 docs/slurm_array.sh SCALE=pilot CONDITIONS="baseline mulfact" SEEDS="0 1 2")
#   sbatch --dependency=afterok:$id --wrap 'make experiment SCALE=pilot CONDITIONS="baseline mulfact" SEEDS="0 1 2"'
# Each task begins at another run, then helps with the others: a stage belongs to the task that has its lock, and no stage
# runs twice. Two minutes before the time is up the tasks are told to save; the same command goes on from there. The
# second line makes the report.
#SBATCH --job-name=mulfact
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
set -euo pipefail

exec make worker WORKER="$SLURM_ARRAY_TASK_ID" "$@"
