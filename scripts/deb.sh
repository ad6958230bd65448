#!/usr/bin/env bash
# Debian packages, by hand: one control file, the tree as it lies on the box, dpkg-deb.
#
#   scripts/deb.sh [amd64] [arm64]       into target/deb; profile: $PROFILE, else ci
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${PROFILE:-ci}
folder=${profile/%dev/debug}
target=${CARGO_TARGET_DIR:-target}
locked=${CI:+--locked}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
umask 022

say() { echo "deb: $*" >&2; }
die() { say "$*"; exit 1; }

build() {
    case $1 in
        "$(dpkg --print-architecture)")
            # shellcheck disable=SC2086
            cargo build $locked --profile "$profile" --bins -p aisled -p aisle-hq -p models
            binaries=$target/$folder
            ;;
        arm64)
            PROFILE=$profile scripts/arm.sh build
            binaries=$target/arm/aarch64-unknown-linux-gnu/$folder
            ;;
        *) die "no such architecture: $1" ;;
    esac
}

# The newest glibc that a binary asks for; dies if it asks for more than glibc and libgcc, or for a newer one than Debian 12's.
glibc() {
    local needed newest
    needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libgcc_s|ld-linux-[a-z0-9-]+)\.so\.[0-9]+$' || true)
    [ -z "$needed" ] || die "$1 needs libraries the package does not ask for: $(echo $needed)"
    newest=$(readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -n 1)
    [ "$(printf '%s\n2.36\n' "$newest" | sort -V | tail -n 1)" = 2.36 ] || die "$1 needs glibc $newest; Debian 12 has 2.36"
    echo "$newest"
}

pack() {
    local arch=$1 root=$target/deb/$1 deb=$target/deb/aisle_${version}_$1.deb binary libc=2.34 asked
    rm -rf "$root"
    mkdir -p "$root"/DEBIAN
    for binary in aisled aisle-vision aisle-hq; do
        asked=$(glibc "$binaries/$binary")
        libc=$(printf '%s\n' "$libc" "$asked" | sort -V | tail -n 1)
        install -D -m 755 "$binaries/$binary" "$root/usr/bin/$binary"
    done
    for unit in systemd/*.service; do install -D -m 644 "$unit" "$root/usr/lib/systemd/system/${unit##*/}"; done
    install -D -m 644 systemd/aisle.sysusers.conf "$root/usr/lib/sysusers.d/aisle.conf"
    install -D -m 644 systemd/aisle.tmpfiles.conf "$root/usr/lib/tmpfiles.d/aisle.conf"
    install -D -m 644 systemd/70-aisle.rules "$root/usr/lib/udev/rules.d/70-aisle.rules"
    install -D -m 644 systemd/aisled.toml "$root/etc/aisle/aisled.toml"
    install -D -m 644 systemd/aisle-hq.toml "$root/etc/aisle/aisle-hq.toml"
    install -D -m 644 README.md "$root/usr/share/doc/aisle/README.md"
    install -D -m 644 NOTICE "$root/usr/share/doc/aisle/NOTICE"
    install -D -m 644 scripts/debian/copyright "$root/usr/share/doc/aisle/copyright"
    gzip -9nc CHANGELOG.md >"$root/usr/share/doc/aisle/changelog.gz"
    chmod 644 "$root/usr/share/doc/aisle/changelog.gz"

    sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@LIBC@/$libc/; s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" scripts/debian/control >"$root/DEBIAN/control"
    printf '%s\n' /etc/aisle/aisled.toml /etc/aisle/aisle-hq.toml >"$root/DEBIAN/conffiles"
    install -m 755 scripts/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
    (cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

    dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
    dpkg-deb -f "$deb" Package Version Architecture Depends >/dev/null
    say "$(du -k "$deb" | cut -f1) KiB $deb"
}

[ $# -gt 0 ] || set -- amd64 arm64
for arch in "$@"; do
    build "$arch"
    pack "$arch"
done
