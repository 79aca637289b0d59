#!/usr/bin/env bash
# An unmodified Feast client (its package, version pinned in requirements.txt) with `online_store: {type: remote}`
# writes to and reads from a real `atoll serve --single`, whose definitions `atoll import feast` made of what
# `feast apply` wrote: of ./repo, of ./shapes, and of the repository that `feast init` makes.
#
#   cargo build --bin atoll && deploy/dev/feast/remote.sh [ATOLL_BINARY]
#
# Where its prerequisites are missing it says `skipped:` and why; with CI=true it fails.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
atoll="${1:-${CARGO_TARGET_DIR:-$root/target}/debug/atoll}"
port="${ATOLL_PORT:-26570}"
export ATOLL_GATEWAY="127.0.0.1:$port"

[[ -x "$atoll" ]] || { echo "$atoll is not there: cargo build --bin atoll, or name another" >&2; exit 2; }
if ! venv="$("$here/install.sh")"; then
    [[ "${CI:-}" == "true" ]] && exit 1
    echo "skipped: Feast cannot be installed here, see above"
    exit 0
fi

scratch="$(mktemp -d)"
server=""
stop() {
    if [[ -n "$server" ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap stop EXIT
cd "$scratch"

quietly() { "$@" >said.log 2>&1 || { cat said.log >&2; echo "failed: $*" >&2; exit 1; }; }

cp -r "$here/repo" shop
cp -r "$here/shapes" shapes
mkdir shop/data shapes/data
quietly "$venv/bin/feast" init -t local drivers
mv drivers/feature_repo drivers.repo && rm -r drivers && mv drivers.repo drivers

"$atoll" serve --single --data-dir data --port "$port" >serve.log 2>&1 &
server=$!
for _ in $(seq 120); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$((port + 1))/readyz" && break
    kill -0 "$server" 2>/dev/null || { cat serve.log >&2; exit 1; }
    sleep 0.5
done

for repository in shop shapes drivers; do
    quietly "$venv/bin/feast" --chdir "$repository" apply
    "$atoll" import feast "$repository/feature_store.yaml" >"$repository.yaml" 2>"$repository.notes"
    quietly "$atoll" apply --yes "$repository.yaml"
    echo "applied: $repository, with $(wc -l <"$repository.notes") notes"
    sed 's/^/    /' "$repository.notes"
done

# From here on Feast has Atoll as its online store, and nothing else of it changes.
for repository in shop drivers; do
    "$venv/bin/python" - "$repository/feature_store.yaml" "http://127.0.0.1:$((port + 1))/feast/$repository" <<'PYTHON'
import sys
import yaml

path, url = sys.argv[1:]
with open(path) as file:
    settings = yaml.safe_load(file)
settings["online_store"] = {"type": "remote", "path": url}
with open(path, "w") as file:
    yaml.safe_dump(settings, file)
PYTHON
done
"$venv/bin/python" "$here/remote.py" shop drivers
