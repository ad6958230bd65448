#!/usr/bin/env bash
# Instructions of one frame (detect at 640, align, liveness pair, embed; one thread), counted by callgrind: a figure that does not
# depend on what else the machine does, and by which another processor can be judged. Needs AISLE_MODELS.
#
#   scripts/instructions.sh          prints one JSON line; target/bench/callgrind.out says which functions they are in
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh base instructions
: "${AISLE_MODELS:?names the folder of models}"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
mkdir -p "$target/bench"
bench=$(cargo bench --profile ci -p models --bench vision --no-run --message-format=json \
    | sed -n 's/.*"kind":\["bench"\].*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)

# Valgrind knows AVX2 and no AVX-512; what is counted is what a processor with AVX2 runs.
count() {
    AISLE_BENCH_FRAMES=$1 valgrind --tool=callgrind --callgrind-out-file="$target/bench/callgrind.out" "$bench" 2>&1 \
        | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
# The difference of two runs leaves out what loading takes.
one=$(count 1)
three=$(count 3)
echo "{\"name\": \"vision_frame_instructions\", \"value\": $(((three - one) / 2)), \"unit\": \"instructions\", \"load\": $((one - (three - one) / 2))}" \
    | tee "$target/bench/instructions.json"
