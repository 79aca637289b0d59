#!/usr/bin/env bash
# Records the answers of the real Feast feature server (its package, version pinned in requirements.txt, sqlite as
# online store) to the requests of requests_of.py, and keeps the registries that `feast apply` wrote: the fixtures that
# Atoll's tests compare with. Without a folder they take the place of those that are there.
#
#   deploy/dev/feast/record.sh [FOLDER]
#
# Where its prerequisites are missing it says `skipped:` and why; with CI=true it fails.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
answers="${1:-$root/gateway/tests/feast}"
registry="${1:-$root/node/tests/feast}"
port="${FEAST_PORT:-6566}"

if ! venv="$("$here/install.sh")"; then
    [[ "${CI:-}" == "true" ]] && exit 1
    echo "skipped: Feast cannot be installed here, see above"
    exit 0
fi

mkdir -p "$answers" "$registry"
answers="$(cd "$answers" && pwd)"
registry="$(cd "$registry" && pwd)"
scratch="$(mktemp -d)"
server=""
trap '[[ -z "$server" ]] || kill "$server" 2>/dev/null || true; rm -rf "$scratch" "$scratch.shapes"' EXIT
cp "$here"/repo/* "$scratch"
mkdir "$scratch/data"
cp -r "$here/shapes" "$scratch.shapes"
mkdir "$scratch.shapes/data"
cd "$scratch"

"$venv/bin/feast" --chdir "$scratch.shapes" apply >apply.log 2>&1 || { cat apply.log >&2; exit 1; }
cp "$scratch.shapes/data/registry.db" "$registry/shapes.db"

"$venv/bin/feast" apply >apply.log 2>&1 || { cat apply.log >&2; exit 1; }
cp data/registry.db "$registry/registry.db"
"$venv/bin/feast" serve --host 127.0.0.1 --port "$port" --no-access-log >serve.log 2>&1 &
server=$!
for _ in $(seq 120); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health" && break
    kill -0 "$server" 2>/dev/null || { cat serve.log >&2; exit 1; }
    sleep 0.5
done
"$venv/bin/python" "$here/record.py" "http://127.0.0.1:$port" "$answers/answers.jsonl"
echo "$(wc -l <"$answers/answers.jsonl") answers are in $answers, the registries are in $registry"
