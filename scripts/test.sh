#!/usr/bin/env bash
# The whole suite; arguments go to cargo. The runner's closing line is the last one printed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo nextest --version >/dev/null 2>&1; then
    exec cargo test "$@" --workspace
fi
# nextest does not run doc tests; the few there are go first.
if grep -rqE '^\s*//[/!] ```' --include='*.rs' daemon/core/src daemon/src drivers/src models/src hq/src; then
    cargo test -q "$@" --workspace --doc
fi
exec cargo nextest run "$@" --workspace
