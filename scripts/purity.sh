#!/usr/bin/env bash
# The walls inside the program: what the core may depend on, and who may know what.
set -euo pipefail
cd "$(dirname "$0")/.."
locked=${CI:+--locked}
failed=0
wrong() { echo "purity: $*" >&2; failed=1; }

# Names of everything a package stands on in a shipped binary.
# shellcheck disable=SC2086
stands_on() { cargo tree $locked -p "$1" -e normal --prefix none --no-dedupe -f '{p}' | cut -d' ' -f1 | sort -u; }

# The core: serde (with the macros it brings) and nothing else.
extra=$(stands_on checkout | grep -vxE 'checkout|serde|serde_core|serde_derive|proc-macro2|quote|syn|unicode-ident' || true)
[ -z "$extra" ] || wrong "checkout depends on: $(echo $extra)"
# shellcheck disable=SC2086
cargo tree $locked -p checkout -e normal

# It cannot name a clock, a file or a socket, and nothing in it waits.
grep -qx '#!\[no_std\]' daemon/core/src/lib.rs || wrong "daemon/core/src/lib.rs does not say #![no_std]"
waits=$(grep -rnE '\basync (fn|move|\{)|\.await\b' --include='*.rs' daemon/core/src || true)
[ -z "$waits" ] || wrong "async in the core:"$'\n'"$waits"
std=$(grep -rnE '^\s*extern crate std\b|\bstd::(fs|net|time|thread|io|env|process)\b' --include='*.rs' daemon/core/src || true)
[ -z "$std" ] || wrong "the core reaches for std:"$'\n'"$std"

# Drivers are sans-IO; the daemon never links inference or a camera library.
io=$(stands_on drivers | grep -xE 'tokio|mio|async-std|smol|rusqlite|rumqttc|axum|hyper|serialport' || true)
[ -z "$io" ] || wrong "drivers depends on: $(echo $io)"
vision=$(stands_on aisled | grep -E '^(tract|nokhwa|v4l|rxing|zune|image$|prost$)' || true)
[ -z "$vision" ] || wrong "aisled depends on: $(echo $vision)"
[ -z "$(stands_on aisle-hq | grep -xE 'aisled|models' || true)" ] || wrong "aisle-hq depends on the box's crates"

# No way to panic by hand outside tests: clippy holds that line, as long as the crates ask for it and nobody opts out.
asks() {
    local lint
    for lint in "${@:2}"; do
        tr -d '\n' <"$1/src/lib.rs" | grep -qE "#!\[cfg_attr\( *not\(test\), *deny\([^)]*clippy::$lint\b" || wrong "$1/src/lib.rs does not deny clippy::$lint outside tests"
    done
    local out
    out=$(grep -rnE '(allow|expect|warn)\([^)]*clippy::(unwrap_used|expect_used|panic)\b' --include='*.rs' "$1/src" || true)
    [ -z "$out" ] || wrong "opts out of a lint:"$'\n'"$out"
}
asks daemon/core unwrap_used expect_used panic float_arithmetic
asks drivers unwrap_used expect_used panic

[ $failed = 0 ] && echo "purity: checkout stands on serde alone, waits for nothing and cannot panic by hand; drivers do no I/O; aisled links no inference"
exit $failed
