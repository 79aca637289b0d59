#!/usr/bin/env bash
# An S3 server for development and tests: versitygw over a folder of this machine.
#
#   deploy/dev/s3.sh install              builds it once, outside the clone; needs Go
#   deploy/dev/s3.sh path                 where it is
#   deploy/dev/s3.sh start PORT FOLDER    serves FOLDER, each folder in it a bucket, until it is ended
#
# The keys are those of the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
set -euo pipefail

version="v1.8.0"
tools="${ATOLL_TOOLS:-$HOME/.cache/atoll/tools}"
server="$tools/versitygw-$version"

case "${1:-}" in
install)
    if [[ -x "$server" ]]; then
        echo "present: $server"
        exit 0
    fi
    command -v go >/dev/null || { echo "Go is missing: install it from https://go.dev/dl" >&2; exit 1; }
    mkdir -p "$tools"
    # Its own folder, and a rename at the end: an interrupted build leaves nothing that looks whole.
    building="$(mktemp -d "$tools/building.XXXXXX")"
    trap 'rm -rf "$building"' EXIT
    GOBIN="$building" go install "github.com/versity/versitygw/cmd/versitygw@$version"
    mv "$building/versitygw" "$server"
    echo "installed: $server"
    ;;
path)
    echo "$server"
    ;;
start)
    [[ $# -eq 3 ]] || { echo "usage: s3.sh start PORT FOLDER" >&2; exit 2; }
    [[ -x "$server" ]] || { echo "not installed: deploy/dev/s3.sh install" >&2; exit 1; }
    exec "$server" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" \
        --port "127.0.0.1:$2" posix "$3"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
