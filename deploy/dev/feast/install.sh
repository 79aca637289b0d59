#!/usr/bin/env bash
# Installs the pinned Feast into an environment of its own and prints its folder. Needs Python 3.10 or later with
# venv, and a package index. ATOLL_DEV_DIR names another folder than target/dev.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
folder="${ATOLL_DEV_DIR:-$here/../../../target/dev}"
mkdir -p "$folder"
venv="$(cd "$folder" && pwd)/feast-$(sed -n 's/^feast==//p' "$here/requirements.txt")"

if [[ ! -e "$venv/installed" ]]; then
    command -v python3 >/dev/null || { echo "python3 is needed for Feast and is not there" >&2; exit 1; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { echo "Feast needs Python 3.10 or later; this is $(python3 --version)" >&2; exit 1; }
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    touch "$venv/installed"
fi
echo "$venv"
