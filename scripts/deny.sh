#!/usr/bin/env bash
# Dependencies: bans, licences and sources always; advisories when the database (on GitHub) can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --locked check --hide-inclusion-graph bans licenses sources

advisories="cargo deny --locked check --hide-inclusion-graph advisories"
if timeout 120 cargo deny --locked fetch db >/dev/null 2>&1; then
    $advisories
elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/crates" >/dev/null; then
    echo "deny: the advisory database could not be refreshed; checking against the copy on disk"
    $advisories --disable-fetch
else
    echo "deny: ADVISORIES NOT CHECKED: github.com/RustSec/advisory-db could not be fetched and no copy is on disk"
fi
