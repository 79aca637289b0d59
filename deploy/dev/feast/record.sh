#!/usr/bin/env bash
# Records the answers of the real Feast feature server (its package, version pinned in requirements.txt, sqlite as
# online store) as the fixture that Atoll's tests compare with, and the registry that `feast apply` wrote.
#
#   deploy/dev/feast/record.sh [FOLDER]        (gateway/tests/feast)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
to="${1:-$here/../../../gateway/tests/feast}"
venv="$("$here/install.sh")"
port="${FEAST_PORT:-6566}"

scratch="$(mktemp -d)"
server=""
trap '[[ -z "$server" ]] || kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
cp "$here"/repo/* "$scratch"
mkdir "$scratch/data" && mkdir -p "$to"

cd "$scratch"
"$venv/bin/feast" apply >apply.log 2>&1 || { cat apply.log >&2; exit 1; }
cp data/registry.db "$to/registry.db"
"$venv/bin/feast" serve --host 127.0.0.1 --port "$port" --no-access-log >serve.log 2>&1 &
server=$!
for _ in $(seq 120); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health" && break
    kill -0 "$server" 2>/dev/null || { cat serve.log >&2; exit 1; }
    sleep 0.5
done
"$venv/bin/python" "$here/record.py" "http://127.0.0.1:$port" "$to/answers.jsonl"
echo "$(wc -l <"$to/answers.jsonl") answers are in $to"
