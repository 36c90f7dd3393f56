#!/usr/bin/env bash
# An experiment in a container that is thrown away, with a folder that stays:
#   bash release/job.sh /bucket SCALE=pilot CONDITIONS="baseline mulfact" SEEDS="0 1 2"
# Work is done on the container's own disk, for renames and memory maps; every SAVE_SECONDS and at the end what changed is
# copied to <folder>/outputs, from where the next job takes it up. A stage's provenance.json goes last: where it is, the
# stage is whole. A checkpoint that was cut short in copying is found by its hashes, and the one before is taken.
set -euo pipefail
kept=$1/outputs
shift
mkdir -p outputs "$kept"
cp -a "$kept/." outputs/

save() {
  (cd outputs && find . -type f ! -name provenance.json -exec cp -a --update --parents -t "$kept" {} + &&
    find . -type f -name provenance.json -exec cp -a --update --parents -t "$kept" {} +) ||
    echo "not all could be copied to $kept; the next copy tries again" >&2
}

make experiment OUTPUTS=outputs "$@" &
experiment=$!
trap 'kill -TERM $experiment 2>/dev/null || true' TERM INT # pretraining saves, and then make ends
(while sleep "${SAVE_SECONDS:-300}"; do save; done) &
saver=$!
status=0
while kill -0 $experiment 2>/dev/null; do
  status=0
  wait $experiment || status=$? # also returns when a signal comes, with make still at work
done
kill $saver 2>/dev/null || true
wait $saver 2>/dev/null || true
save
exit $status
