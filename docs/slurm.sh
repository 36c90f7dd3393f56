#!/usr/bin/env bash
# Pretrain on several machines under SLURM:
#   sbatch docs/slurm.sh outputs/gpt2_124m/mulfact/seed-0/recipes/pretrain.yaml
# The recipe's pretrain.num_processes must be machines x GPUs. Two minutes before the time is up the run is told to save
# and leave, and the job goes back into the queue, where the same command goes on from the checkpoint. A run that was
# just finished does not go back.
#SBATCH --job-name=mulfact
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH"
export recipe=$1
export processes=$((SLURM_NNODES * SLURM_GPUS_ON_NODE))
export main_ip=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export main_port=$((20000 + SLURM_JOB_ID % 10000))
export OMP_NUM_THREADS=8

# The single quotes leave $SLURM_NODEID for each machine to fill in.
srun --kill-on-bad-exit=1 bash -c 'exec python modeling/supervise.py \
  --folder "${TMPDIR:-/tmp}/mulfact-$SLURM_JOB_ID-$SLURM_NODEID" -- accelerate launch --quiet \
  --config_file accelerate_configs/multi_node.yaml --num_machines "$SLURM_NNODES" --num_processes "$processes" \
  --machine_rank "$SLURM_NODEID" --main_process_ip "$main_ip" --main_process_port "$main_port" \
  modeling/pretrain.py --config "$recipe"' &
step=$!

save_and_requeue() {
  # srun passes a USR1 on, and supervise.py stops its training. At a SIGTERM srun would end the tasks by SIGKILL.
  kill -USR1 "$step" || true # it may have ended by itself
  wait "$step" || scontrol requeue "$SLURM_JOB_ID"
  exit 0
}
trap save_and_requeue USR1
wait "$step"
