#!/usr/bin/env bash
# Before a release: may NEW replace OLD? Both models see the same crops. What is gated is in pytest.ini, but for the old
# model. A result that the data cannot decide does not pass. If NEW passes, the baseline becomes that of NEW.
#
#     bash ci/pre-release.sh NEW_MODEL OLD_MODEL [options of pytest, such as --cropdet-checks=gate,invariants]
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: bash $0 NEW_MODEL OLD_MODEL [options of pytest]" >&2
  exit 4
fi
new=$1 old=$2
shift 2
results=crop-release
rm -rf "$results"

code=0
python -m pytest --pyargs pytest_cropdet.suite "--cropdet-model=$new" "--cropdet-against=old=$old" \
  -o cropdet_baseline= --cropdet-undecided=fail --cropdet-explain=always \
  "--cropdet-json=$results/result.json" "--cropdet-report=$results/report" "--junitxml=$results/junit.xml" "$@" || code=$?

case $code in
  0) echo "pre-release: $new passes. The report: $results/report/index.html" ;;
  1) echo "pre-release: do not release $new: a gate failed, is undecided, or has no result. See $results" >&2 ;;
  2) echo "pre-release: interrupted. The next run continues with the detections that are already known." >&2 ;;
  4) echo "pre-release: the options are wrong, nothing was judged." >&2 ;;
  5) echo "pre-release: no test was collected, nothing was judged." >&2 ;;
  *) echo "pre-release: pytest broke off with exit code $code, nothing was judged." >&2 ;;
esac
[ "$code" = 0 ] || exit "$code"

python -m pytest --pyargs pytest_cropdet.suite "--cropdet-model=$new" "$@" --cropdet-update-baseline \
  "--cropdet-json=$results/baseline-result.json" --cropdet-report=off
echo "pre-release: commit the baseline with $new."
