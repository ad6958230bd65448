#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks; says nothing and changes nothing when nothing is missing.
#
#   scripts/setup.sh [group...]      base test check arm deb bench instructions      (default: base test check)
#
# Packages come from apt (through sudo when not root), cargo from rustup when there is none at all, and the two cargo
# tools by compiling them once. On another system it names what to install and goes on with what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# package=what shows that it is there: a command, or a path.
base="build-essential=c++ curl=curl ca-certificates=/etc/ssl/certs/ca-certificates.crt pkg-config=pkg-config git=git"
test="mosquitto=mosquitto mosquitto-clients=mosquitto_sub chromium=chromium socat=socat sqlite3=sqlite3 strace=strace gdb=gcore faketime=faketime openssl=openssl procps=ps
      postgresql=/usr/lib/postgresql/15/bin/initdb nats-server=nats-server rabbitmq-server=/usr/lib/rabbitmq/bin/rabbitmq-server
      fonts-noto-cjk=/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
check="systemd=systemd-analyze"
# LLVM's libraries are for the compiler that scripts/arm.sh unpacks.
arm="gcc-aarch64-linux-gnu=aarch64-linux-gnu-gcc g++-aarch64-linux-gnu=aarch64-linux-gnu-g++ qemu-user-static=qemu-aarch64-static
     libedit2=/usr/lib/x86_64-linux-gnu/libedit.so.2
     libxml2=/usr/lib/x86_64-linux-gnu/libxml2.so.2 libz3-4=/usr/lib/x86_64-linux-gnu/libz3.so.4"
deb="dpkg=dpkg-deb"
instructions="valgrind=valgrind"

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }
have() { case $1 in /*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac; }

packages() {
    local missing=() item
    for item in "$@"; do
        have "${item#*=}" || missing+=("${item%%=*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    # A package may keep its file elsewhere on another release: then the package database decides.
    if command -v dpkg-query >/dev/null; then
        for item in "${!missing[@]}"; do
            dpkg-query -W -f='${db:Status-Abbrev}' "${missing[$item]}" 2>/dev/null | grep -q '^ii' && unset "missing[$item]"
        done
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "this is not Debian; please install the counterparts of: ${missing[*]}"
        return 0
    fi
    install "${missing[@]}"
}

install() {
    local root=() log
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing: $*. Install them as root (apt-get install $*) and run this again"
        root=(sudo)
    fi
    say "installing $*"
    log=$(mktemp)
    # Lists first: those of a fresh image are empty or stale. Another apt may be at work: wait for it.
    local try
    for try in 1 2 3 4 5; do
        "${root[@]}" apt-get update -q >"$log" 2>&1 && break
        [ "$try" = 5 ] || sleep 3
    done
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; die "apt could not install: $*"; }
    rm -f "$log"
    local server
    for server in mosquitto postgresql nats-server rabbitmq-server; do
        case " $* " in *" $server "*) quiet "$server" "${root[@]}" ;; esac
    done
}

# These packages start a server on its usual port; our tests start their own, on their own ports.
quiet() {
    local server=$1
    shift
    if [ -d /run/systemd/system ]; then
        "$@" systemctl disable --now "$server" >/dev/null 2>&1 || true
    elif command -v invoke-rc.d >/dev/null; then
        "$@" invoke-rc.d "$server" stop >/dev/null 2>&1 || true
        "$@" update-rc.d "$server" disable >/dev/null 2>&1 || true
    fi
}

rust() {
    command -v cargo >/dev/null && return 0
    say "installing Rust through rustup"
    local site dir
    site=https://static.rust-lang.org/rustup/dist/$(uname -m)-unknown-linux-gnu/rustup-init
    dir=$(mktemp -d)
    curl --proto =https --tlsv1.2 -sSfL --retry 3 -o "$dir/rustup-init" "$site" \
        || die "could not fetch $site; install Rust from https://rustup.rs and run this again"
    chmod +x "$dir/rustup-init"
    "$dir/rustup-init" -y -q --profile minimal -c clippy -c rustfmt --no-modify-path </dev/null >"$dir/log" 2>&1 \
        || { tail -n 20 "$dir/log" >&2; die "rustup could not install Rust"; }
    rm -rf "$dir"
    say "Rust is in ${CARGO_HOME:-$HOME/.cargo}/bin; make finds it there, your shell after: . ${CARGO_HOME:-$HOME/.cargo}/env"
}

# cargo_tool NAME WHAT-WITHOUT-IT [options]. Compiled lightly: half the time, and they run for seconds.
cargo_tool() {
    command -v "$1" >/dev/null && return 0
    local name=$1 without=$2
    shift 2
    say "compiling $name (once, a few minutes)"
    local log; log=$(mktemp)
    if CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tools" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo install -q --locked "$name" "$@" >"$log" 2>&1 </dev/null; then
        rm -rf "${CARGO_TARGET_DIR:-target}/tools" "$log"
        return 0
    fi
    tail -n 5 "$log" >&2
    say "$name could not be compiled; $without"
}

# Programs of others that the tests hold ours against: small, pinned, beside what is built. Without them their tests say skipped.
peers() {
    local folder=${CARGO_TARGET_DIR:-target}/peers log
    local python="python-escpos==3.1 zxing-cpp==3.1.1" js="@adyen/api-library@32.1.0 receiptline@4.0.4"
    log=$(mktemp)
    if [ ! -e "$folder/py/$(cksum <<<"$python" | tr -c '0-9\n' -)" ] && command -v python3 >/dev/null; then
        say "installing $python for the tests"
        # shellcheck disable=SC2086
        if python3 -m venv "$folder/py" >"$log" 2>&1 \
            && "$folder/py/bin/pip" install -q --disable-pip-version-check --only-binary :all: $python >>"$log" 2>&1; then
            touch "$folder/py/$(cksum <<<"$python" | tr -c '0-9\n' -)"
        else
            rm -rf "$folder/py"
            say "could not ($(tail -n 1 "$log")); their tests will say skipped"
        fi
    fi
    if [ ! -e "$folder/js/$(cksum <<<"$js" | tr -c '0-9\n' -)" ] && command -v npm >/dev/null; then
        say "installing $js for the tests"
        # shellcheck disable=SC2086
        if npm install --prefix "$folder/js" --ignore-scripts --no-audit --no-fund --loglevel=error $js >"$log" 2>&1; then
            touch "$folder/js/$(cksum <<<"$js" | tr -c '0-9\n' -)"
        else
            rm -rf "$folder/js"
            say "could not ($(tail -n 1 "$log")); their tests will say skipped"
        fi
    fi
    rm -f "$log"
}

# What `make bench` measures vision beside. Without it those rows say so.
yardsticks() {
    local folder=${CARGO_TARGET_DIR:-target}/peers/vision log python="onnxruntime==1.32.0 faiss-cpu==1.15.1 numpy==2.4.6"
    [ ! -e "$folder/$(cksum <<<"$python" | tr -c '0-9\n' -)" ] && command -v python3 >/dev/null || return 0
    log=$(mktemp)
    say "installing $python for the figures"
    # shellcheck disable=SC2086
    if python3 -m venv "$folder" >"$log" 2>&1 \
        && "$folder/bin/pip" install -q --disable-pip-version-check --only-binary :all: $python >>"$log" 2>&1; then
        touch "$folder/$(cksum <<<"$python" | tr -c '0-9\n' -)"
    else
        rm -rf "$folder"
        say "could not ($(tail -n 1 "$log")); their figures will say skipped"
    fi
    rm -f "$log"
}

[ $# -gt 0 ] || set -- base test check
for group in "$@"; do
    case $group in
        # shellcheck disable=SC2086
        base | test | check | arm | deb | instructions) packages ${!group} ;;
        bench) yardsticks ;;
        *) die "no such group: $group (base test check arm deb bench instructions)" ;;
    esac
    case $group in
        base) rust ;;
        # Without its updater, which brings a second TLS with a great deal of C.
        test)
            cargo_tool cargo-nextest "plain 'cargo test' serves instead" --no-default-features
            peers
            ;;
        check) cargo_tool cargo-deny "'make check' will say what it could not check" ;;
    esac
done
