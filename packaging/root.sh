# Debian roots to test in; read by test-package.sh, test-installation.sh and
# test-debian13.sh.
# shellcheck shell=sh

umask 022
name=$(basename "$0" .sh)
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

die() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

# Begins again with mounts and processes of its own: whatever happens, none outlives the script.
alone() { # SCRIPT ARGUMENT...
    [ "$(id -u)" -eq 0 ] || die "run as root: it makes a Debian root and changes into it"
    [ "${ACMEWARD_ALONE:-}" != yes ] || return 0
    sh "$project/packaging/install-packages.sh" package
    ACMEWARD_ALONE=yes exec unshare --mount --pid --fork --kill-child sh "$@"
}

make_root() { # SUITE FOLDER PACKAGE,...
    echo "== a root of Debian $1 in $2"
    debootstrap --variant=minbase --include="$3" "$1" "$2" >"$2.log" 2>&1 ||
        { tail -n 20 "$2.log" >&2; die "debootstrap failed"; }
    rm "$2.log"
    # Nobody needs it after a crash of the machine.
    echo force-unsafe-io >"$2/etc/dpkg/dpkg.cfg.d/unsafe-io"
}

# Makes /proc and /dev, and what a package manager would start, as in a build.
enter_root() { # FOLDER
    root=$1
    # A mount of its own: else nothing in it could make a mount namespace.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 0755 "$root/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # A minimal root has none, and what listens on loopback wants its name.
    printf '127.0.0.1\tlocalhost\n' >"$root/etc/hosts"
}

# Unmounts what enter_root mounted; before any removal, which must not run into /dev.
leave_root() { # FOLDER
    umount -R -l "$1" 2>/dev/null || true
}

# This checkout's sources, without what was built; what lies there already stays.
copy_project() { # FOLDER
    mkdir -p "$1"
    if [ -e "$project/.git" ]; then
        git -c "safe.directory=$project" -C "$project" ls-files -z --cached --others --exclude-standard |
            (cd "$project" && tar -c --null -T - --ignore-failed-read) | tar -x -C "$1"
    else
        tar -c -C "$project" --exclude=./build --exclude=./.quickstart . | tar -x -C "$1"
    fi
}

# Runs a command in the root, with nothing of the caller's environment.
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
        DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
