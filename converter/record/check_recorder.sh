#!/usr/bin/env bash
# Checks record_paligemma.py without torch or jax: that it compiles, and its parts with a toy in the model's place.
# Not a part of `npm test`, which needs no Python. What needs the originals themselves is check_originals.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! command -v python3 >/dev/null; then
  echo 'check_recorder.sh: there is no python3, so nothing was checked' >&2
  exit 1
fi
if ! python3 -c 'import numpy' 2>/dev/null; then
  echo 'check_recorder.sh: python3 has no numpy, so nothing was checked (pip install numpy)' >&2
  exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
python3 - record_paligemma.py check_recorder.py check_originals.py <<'PY'
import ast, sys
for path in sys.argv[1:]:
    with open(path, encoding='utf-8') as file:
        text = file.read()
    ast.parse(text, path, feature_version=(3, 9))
    long = [number for number, line in enumerate(text.split('\n'), 1) if len(line) > 120]
    assert not long, f'{path}: lines {long} are longer than 120 columns'
PY
python3 check_recorder.py "$@"
