#!/bin/sh
# Makes generated/*.ts from manifest.fbs. Needs flatc (Debian: flatbuffers-compiler); users and tests do not.
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
flatc --ts --gen-all -o "$out" manifest.fbs
rm -rf generated
mkdir generated
for file in "$out"/pgw/*.ts; do
  # relative imports as Node's ESM wants them
  sed -E "s#from '\.\./pgw/([a-z0-9-]+)'#from './\1.ts'#" "$file" > "generated/$(basename "$file")"
done
rm -rf "$out"
