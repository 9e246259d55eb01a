#!/bin/sh
# Installs what serving-peers and drift-report (evidently) compare us with, each into a virtual environment of its own under
# node_modules/.cache/peers: their pins exclude each other. Needs Python 3.10 or newer and its package index; takes
# about two minutes and 1.5 GB. With names as arguments, only those.
set -u
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=$here/../../node_modules/.cache/peers
python=${PYTHON:-python3}
missing=0
for name in ${*:-fastapi mlserver kserve litserve bentoml evidently}; do
  rm -rf "$target/$name"
  if "$python" -m venv "$target/$name" &&
    "$target/$name/bin/pip" install --quiet --only-binary :all: --requirement "$here/$name.txt"; then
    echo "$name: installed"
  else
    rm -rf "$target/$name"
    echo "$name: NOT installed; serving-peers or drift-report will leave it out"
    missing=1
  fi
done
exit $missing
