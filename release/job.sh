#!/usr/bin/env bash
# An experiment in a container that is thrown away, with a folder that stays:
#   bash release/job.sh /bucket SCALE=pilot CONDITIONS="baseline mulfact" SEEDS="0 1 2"
# Work is done on the container's own disk, for renames and memory maps; every SAVE_SECONDS and at the end what changed is
# copied to <folder>/outputs, from where the next job takes it up. A stage's provenance.json goes last: where it is, the
# stage is whole. A checkpoint that was cut short in copying is found by its hashes, and the one before is taken. The folder
# may be a mounted bucket, which keeps neither owners and modes nor, perhaps, times. One that cannot be written is told before
# anything is paid for, and a job whose last copy failed is a failed job.
set -euo pipefail
kept=$1/outputs
mkdir -p outputs "$kept"
date > "$1/last_job" # fails where the folder is mounted for reading alone
shift
cp -R --preserve=timestamps "$kept/." outputs/

copy() { # the files that find's conditions name, where they are newer than what is kept
  (cd outputs && find . -type f "$@" -exec cp --update --preserve=timestamps --parents -t "$kept" {} +)
}
save() {
  copy ! -name provenance.json && copy -name provenance.json && return
  echo "not all could be copied to $kept; the next copy tries again" >&2
  return 1
}

make experiment OUTPUTS=outputs "$@" &
experiment=$!
trap 'kill -TERM $experiment 2>/dev/null || true' TERM INT # pretraining saves, and then make ends
(while sleep "${SAVE_SECONDS:-300}"; do save || true; done) &
saver=$!
status=0
while kill -0 $experiment 2>/dev/null; do
  status=0
  wait $experiment || status=$? # also returns when a signal comes, with make still at work
done
kill $saver 2>/dev/null || true
wait $saver 2>/dev/null || true
save || { sleep "${SAVE_SECONDS:-300}" && save; } || status=1 # what was not kept is lost with the container
exit $status
