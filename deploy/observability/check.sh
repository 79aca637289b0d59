#!/usr/bin/env bash
# Checks the alert rules, the example of a scrape configuration and the dashboard.
#
#   deploy/observability/check.sh install        builds promtool once, outside the clone; needs Go
#   deploy/observability/check.sh path           where it is
#   deploy/observability/check.sh rules          syntax of all three, and what each alert does with given series
#   deploy/observability/check.sh names SOURCE   every metric and code named in them exists: SOURCE is the
#                                                address of a node's /metrics (ATOLL_TOKEN counts) or a file of it
#
# Without promtool `rules` says `skipped:` and why; with CI=true it fails.
set -euo pipefail

version="v0.305.0"
tools="${ATOLL_TOOLS:-$HOME/.cache/atoll/tools}"
promtool="$tools/promtool-$version"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

fail() { echo "error: $*" >&2; exit 1; }

install() {
    if [[ -x "$promtool" ]]; then
        echo "present: $promtool"
        return
    fi
    command -v go >/dev/null || fail "Go is missing: install it from https://go.dev/dl"
    mkdir -p "$tools"
    # Its own folder, and a rename at the end: an interrupted build leaves nothing that looks whole.
    building="$(mktemp -d "$tools/building.XXXXXX")"
    trap 'rm -rf "$building"' EXIT
    # `go install` refuses a module that replaces others, so it is built where it was unpacked, with
    # the versions of its own go.sum.
    local sources
    sources="$(cd "$building" && go mod download -json "github.com/prometheus/prometheus@$version" |
        sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')"
    (cd "$sources" && go build -mod=readonly -o "$building/promtool" ./cmd/promtool)
    mv "$building/promtool" "$promtool"
    echo "installed: $promtool"
}

# The dashboard's expressions as rules, so that promtool reads them.
dashboard_rules() {
    echo "groups: [{ name: dashboard, rules: ["
    sed -n 's/^ *"expr": "\(.*\)",\{0,1\}$/\1/p' "$here/dashboard.json" |
        sed -e 's/\\"/"/g' -e 's/\$__rate_interval/5m/g' |
        awk -v q="'" '{ printf "  { record: \"dashboard:panel:%d\", expr: %s%s%s },\n", NR, q, $0, q }'
    echo "] }]"
}

rules() {
    if [[ ! -x "$promtool" ]]; then
        local why="promtool is not installed: deploy/observability/check.sh install"
        [[ "${CI:-}" == "true" ]] && fail "$why"
        echo "skipped: $why"
        return
    fi
    cd "$here"
    "$promtool" check config prometheus.yml
    "$promtool" test rules rules_test.yml
    untested="$(comm -23 <(sed -n 's/^ *- alert: //p' rules.yml | sort -u) \
        <(sed -n 's/.*alertname="\([A-Za-z]*\)".*/\1/p' rules_test.yml | sort -u))"
    [[ -z "$untested" ]] || fail "alerts that no test makes fire: ${untested//$'\n'/, }"
    undescribed="$(sed -n 's/^ *- alert: //p' rules.yml |
        while read -r alert; do grep -q "\`$alert\`" ../../docs/operations.md || echo "$alert"; done)"
    [[ -z "$undescribed" ]] || fail "alerts that docs/operations.md does not say what to do about: ${undescribed//$'\n'/, }"
    panels="$(mktemp)"
    trap 'rm -f "$panels"' EXIT
    dashboard_rules >"$panels"
    "$promtool" check rules "$panels" | sed 's/^  SUCCESS: \(.*\) rules found/dashboard: \1 expressions/;/^Checking/d;/^$/d'
    if command -v python3 >/dev/null; then
        python3 -m json.tool dashboard.json >/dev/null && echo "dashboard: JSON"
    else
        [[ "${CI:-}" == "true" ]] && fail "python3 is missing, the dashboard cannot be read as JSON"
        echo "skipped: python3 is missing, the dashboard was not read as JSON"
    fi
}

# A family without series is known by its type alone.
names_of() {
    sed -n -e 's/^\(atoll_[a-z_0-9]*\)[{ ].*/\1/p' \
        -e 's/^# TYPE \([a-z_0-9]*\) counter/\1_total/p' -e 's/^# TYPE \([a-z_0-9]*\) gauge/\1/p' <<<"$1"
    sed -n 's/^# TYPE \([a-z_0-9]*\) histogram/\1/p' <<<"$1" |
        while read -r family; do printf '%s\n' "$family"_{bucket,sum,count}; done
}

names() {
    local text named known
    case "$1" in
    http://* | https://*)
        # By standard input: arguments can be seen by others of the machine.
        text="$(curl -fsS --config - "$1" <<<"${ATOLL_TOKEN:+header = \"authorization: Bearer $ATOLL_TOKEN\"}")"
        ;;
    *) text="$(cat "$1")" ;;
    esac
    cd "$here"
    named="$(grep -ohE '\batoll_[a-z_0-9]+' rules.yml rules_test.yml dashboard.json | sort -u)"
    known="$(names_of "$text" | sort -u)"
    missing="$(comm -23 <(echo "$named") <(echo "$known"))"
    [[ -z "$missing" ]] || fail "no node exports: ${missing//$'\n'/, }"
    codes="$(grep -ohE 'code=~?"[A-Z_|]+"' rules.yml | grep -oE '[A-Z_]{2,}' | sort -u)"
    unknown="$(comm -23 <(echo "$codes") <(grep -oE '"[A-Z_]+"' ../../proto/src/reason.rs | tr -d '"' | sort -u))"
    [[ -z "$unknown" ]] || fail "no reason is called: ${unknown//$'\n'/, }"
    echo "exported: all $(wc -l <<<"$named") metrics; $(wc -l <<<"$codes") codes are reasons"
    echo "not used here: $(comm -13 <(echo "$named") <(echo "$known") | tr '\n' ' ')"
}

case "${1:-}" in
install) install ;;
path) echo "$promtool" ;;
rules) rules ;;
names)
    [[ $# -eq 2 ]] || { echo "usage: check.sh names URL|FILE" >&2; exit 2; }
    names "$2"
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
