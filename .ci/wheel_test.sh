#!/usr/bin/env bash
# wheel_test.sh PYTHON DIST: installs the wheel and the sdist of DIST in empty environments outside of the checkout.
# The wheel runs a gate on the shipped detector; the quick tests of the sdist run in the unpacked sdist.
set -euo pipefail
python=$1
dist=$(cd "$2" && pwd)
fixtures=$(cd "$(dirname "$0")/.." && pwd)/fixtures
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset PYTHONPATH

echo "cropdet: installing the wheel into an empty environment"
"$python" -m venv "$folder/wheel"
(cd "$dist" && "$folder/wheel/bin/python" -m pip install --quiet --disable-pip-version-check \
  "$(ls "$dist"/*.whl)[tflite,report]")
mkdir "$folder/project"
cd "$folder/project"
"$folder/wheel/bin/python" - <<'CHECK'
import sys
import pytest_cropdet

assert pytest_cropdet.__file__.startswith(sys.prefix), pytest_cropdet.__file__
for name in pytest_cropdet.__all__:
    getattr(pytest_cropdet, name)
CHECK
"$folder/wheel/bin/pytest" -p no:cacheprovider --pyargs pytest_cropdet.suite --cropdet-data="$fixtures/scenes" \
  --cropdet-model="$fixtures/models/ssd_crops_nms.tflite" \
  --cropdet-detector=labels="$fixtures/models/labels.txt" --cropdet-max-drop=0.2 --cropdet-detector=range=0..255 --cropdet-report=report
test -s report/index.html
"$folder/wheel/bin/pytest-cropdet" --help > /dev/null

echo "cropdet: running the quick tests of the unpacked sdist"
"$python" -m venv "$folder/sdist"
tar --extract --file "$(ls "$dist"/*.tar.gz)" --directory "$folder"
cd "$folder"/pytest_cropdet-*
"$folder/sdist/bin/python" -m pip install --quiet --disable-pip-version-check '.[dev]'
"$folder/sdist/bin/python" -m pytest -q -p no:cacheprovider --quick ${WHEEL_TESTS:-tests}
