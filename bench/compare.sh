#!/usr/bin/env bash
# Compares the micro-benchmarks of a package, as the working tree has it, with those of
# an earlier commit:
#
#	bench/compare.sh BASE PACKAGE [BENCHMARKS] [COUNT]
#	bench/compare.sh main ./engine 'Get|Scan' 20
#
# BASE is any commit, PACKAGE a directory of the module, BENCHMARKS a pattern (default:
# all), COUNT how often each is run (default: 10; fewer say little). Both test binaries
# are built first and then take turns, so that a machine whose speed drifts shifts both
# alike; TIME (default 1s) is how long a benchmark runs each time. The result is
# benchstat's: what it marks with ~ is no difference.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
fi
base=$1 package=${2#./} pattern=${3:-.} count=${4:-10}
root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"' EXIT

git -C "$root" worktree add --quiet --detach "$work/base" "$base"
(cd "$work/base" && go test -c -o "$work/base.test" "./$package")
(cd "$root" && go test -c -o "$work/head.test" "./$package")
for binary in base head; do
  if [ ! -x "$work/$binary.test" ]; then
    printf '%s has no tests in %s\n' "$binary" "$package" >&2
    exit 1
  fi
done

run() { # NAME DIRECTORY: one run's lines are added to those of the runs before
  (cd "$2/$package" && "$work/$1.test" -test.run='^$' -test.bench="$pattern" -test.benchmem \
    -test.benchtime="${TIME:-1s}" -test.timeout=60m) >>"$work/$1.txt"
}
for i in $(seq "$count"); do
  printf 'round %d of %d\n' "$i" "$count" >&2
  if [ $((i % 2)) -eq 1 ]; then
    run base "$work/base"
    run head "$root"
  else
    run head "$root"
    run base "$work/base"
  fi
done
cd "$root/bench" && go tool benchstat "base=$work/base.txt" "head=$work/head.txt"
