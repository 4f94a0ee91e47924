#!/bin/bash
# Builds what is measured and what it is measured against, and measures: `make bench`. BENCH=smoke or --smoke is the short
# run of CI, which judges no times. VFIOGROUPD=FILE measures that daemon instead of the one that is built here.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    --smoke) BENCH=smoke ;;
    "") ;;
    *) echo "usage: Benchmarks/run.sh [--smoke]" >&2; exit 2 ;;
esac

built=.build/bench
mkdir -p $built
if [ -z "${VFIOGROUPD:-}" ]; then
    make --no-print-directory build >&2
    VFIOGROUPD=.build/release-stripped/vfiogroupd
fi
for program in tree read-tree answer load; do
    ${CC:-cc} -std=c11 -O2 -Wall -Wextra -o $built/$program Benchmarks/c/$program.c
done
swift build -c release --static-swift-stdlib --package-path Benchmarks/empty --scratch-path $built/empty >&2
strip -o $built/empty-stripped $built/empty/release/empty

export PYTHONPATH=Benchmarks PYTHONDONTWRITEBYTECODE=1
exec python3 -m bench --mode "${BENCH:-full}" --daemon "$VFIOGROUPD" --programs $built
