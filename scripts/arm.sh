#!/usr/bin/env bash
# Builds for 64-bit ARM on an x86_64 Debian, and runs what it built under qemu-user.
#
#   scripts/arm.sh build     aisled, aisle-hq and aisle-vision, for packages       (profile: $PROFILE, else ci)
#   scripts/arm.sh check     aisled --version and the core's tests under qemu, the cheap proof of every run
#
# The standard library comes from rustup (`rustup target add`); where rustup cannot fetch it, Debian's compiler and its
# arm64 library are unpacked into a folder under target/ (nothing is installed, no base package is upgraded).
# Docker users may prefer cross (cross.toml).
set -euo pipefail
cd "$(dirname "$0")/.."

triple=aarch64-unknown-linux-gnu
profile=${PROFILE:-ci}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
tools=$target/arm-toolchain
locked=${CI:+--locked}

say() { echo "arm: $*" >&2; }
# 69: what is needed cannot be had here (sysexits).
die() { say "$*"; exit 69; }

[ "$(uname -m)" = x86_64 ] || die "this crosses from x86_64; on an ARM machine plain 'make deb' builds for itself"

rustup_library() {
    command -v rustup >/dev/null || return 1
    rustup target list --installed 2>/dev/null | grep -qx "$triple" && return 0
    timeout 300 rustup target add "$triple" >/dev/null 2>&1
}

debian_compiler() {
    if [ ! -x "$tools/rustc" ]; then
        command -v apt-get >/dev/null || die "neither rustup nor Debian offers an ARM library here; use cross (cross.toml)"
        say "unpacking Debian's compiler and its arm64 library into $tools"
        rm -rf "$tools"
        mkdir -p "$tools"/{lists/partial,cache/archives/partial,debs,sysroot}
        cat >"$tools/apt.conf" <<CONF
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "$(id -un)";
Dir::State::lists "$tools/lists";
Dir::Cache "$tools/cache";
CONF
        (
            export APT_CONFIG=$tools/apt.conf
            cd "$tools/debs"
            apt-get update -q >../apt.log 2>&1 || { tail -n 5 ../apt.log >&2; die "the package lists could not be fetched"; }
            std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p' | tail -n 1)
            llvm=$(apt-cache depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p' | tail -n 1)
            apt-get download -q rustc-web:amd64 libstd-rust-web-dev:amd64 "$std:amd64" "$llvm:amd64" libstd-rust-web-dev:arm64 \
                >>../apt.log 2>&1 || { tail -n 5 ../apt.log >&2; die "Debian's compiler could not be fetched"; }
            for deb in *.deb; do dpkg-deb -x "$deb" ../sysroot; done
        )
        rm -rf "$tools"/{lists,cache,debs}
        cat >"$tools/rustc.new" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$tools/sysroot/usr/lib/x86_64-linux-gnu exec $tools/sysroot/usr/bin/rustc "\$@"
WRAPPER
        chmod +x "$tools/rustc.new"
        mv "$tools/rustc.new" "$tools/rustc"
    fi
    export RUSTC=$tools/rustc
}

if [ "${ARM_COMPILER:-}" != debian ] && rustup_library; then
    say "compiler: $(rustc --version)"
else
    debian_compiler
    say "compiler: $("$RUSTC" --version) (Debian)"
fi

# Two compilers' artefacts and two architectures stay apart.
export CARGO_TARGET_DIR=$target/arm
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
# SQLite, ring and zstd are C.
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar

built=$CARGO_TARGET_DIR/$triple/${profile/%dev/debug}
run() { qemu-aarch64-static -L /usr/aarch64-linux-gnu "$@"; }

case ${1:-} in
    build)
        # shellcheck disable=SC2086
        cargo build $locked --profile "$profile" --target "$triple" --bins -p aisled -p aisle-hq -p models
        for binary in aisled aisle-hq aisle-vision; do
            say "$(du -k "$built/$binary" | cut -f1) KiB $built/$binary"
        done
        ;;
    check)
        # Lightly optimised, overflow checks on: right matters here, fast does not.
        light=(--config 'profile.dev.package."*".opt-level=1' --config profile.dev.debug=false)
        # shellcheck disable=SC2086
        cargo build $locked "${light[@]}" --target "$triple" -p aisled
        run "$CARGO_TARGET_DIR/$triple/debug/aisled" --version
        # shellcheck disable=SC2086
        cargo test $locked "${light[@]}" --target "$triple" -p checkout --lib --tests
        ;;
    *) say "say build or check"; exit 64 ;;
esac
