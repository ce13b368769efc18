#!/usr/bin/env bash
# Whether two fresh clones of the last commit make the same bytes, default configuration, one after the other on this
# machine: benchmarks/reproducibility.sh [an empty folder to work in]. Takes twice as long as `dvc repro`. Exits with 1, and
# prints where the two differ, if a hash of any output does.
set -euo pipefail
cd "$(dirname "$0")/.."
origin=$PWD
folder=${1:-$(mktemp -d)}
for clone in one two; do
  git clone -q "$origin" "$folder/$clone"
  (cd "$folder/$clone" && PYTHONPATH=$PWD dvc repro -q)
done
for lock in dvc.lock data/synthetic/dvc.lock; do
  diff "$folder/one/$lock" "$folder/two/$lock"
  diff -q "$origin/$lock" "$folder/one/$lock" >/dev/null || echo "$lock: both differ from the committed one"
done
echo "the same bytes twice, in $folder"
