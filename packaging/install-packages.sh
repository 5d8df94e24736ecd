#!/bin/sh
# The one list of Debian packages. Installs what is missing of the named groups and is silent, and
# needs no privilege, when nothing is.
#
#   sh packaging/install-packages.sh GROUP...      groups: build run test lint coverage package peers configuration
#   sh packaging/install-packages.sh --list GROUP...
#
# For group test, servers that would start when installed are unpacked into build/servers instead.
set -eu

# Debian 12 has python3-varlink and pkcs11-provider only here; Debian 13 has them in main.
BACKPORTS_SUITE=bookworm-backports
BACKPORTS_LIST=/etc/apt/sources.list.d/acmeward-backports.list

die() {
    printf 'install-packages: %s\n' "$*" >&2
    exit 1
}

codename() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

group_packages() {
    case $1 in
    build)
        echo gcc libc6-dev cmake ninja-build pkg-config libcjson-dev libyaml-dev libidn2-dev \
            libpsl-dev libsystemd-dev libssl-dev libp11-dev libp11-kit-dev libsqlite3-dev \
            libcurl4-openssl-dev libevent-dev libseccomp-dev libldns-dev
        ;;
    run)
        echo softhsm2 publicsuffix ca-certificates
        ;;
    test)
        echo libcmocka-dev softhsm2 pebble opensc openssl python3 python3-varlink \
            python3-asn1crypto python3-cryptography python3-prometheus-client sqlite3 \
            certbot lego uacme dehydrated bind9 bind9-dnsutils openssh-client openssh-server \
            apache2-bin bsdextrautils pkcs11-provider lld
        # What HAProxy, Postfix and Dovecot need, which are unpacked.
        case $(codename) in
        bookworm)
            echo liblua5.3-0 libopentracing-c-wrapper0 libdb5.3 libicu72 libnsl2 libsasl2-2 \
                libsodium23 libunwind8 libwrap0
            ;;
        trixie)
            echo libopentracing-c-wrapper0t64 libexttextcat-2.0-0 libicu76 libnsl2 libsodium23 \
                libstemmer0d libtlsrpt0 libunwind8
            ;;
        esac
        ;;
    lint)
        echo clang clang-tidy clang-format libclang-rt-dev cppcheck shellcheck mandoc python3
        ;;
    coverage)
        echo gcovr
        ;;
    package)
        echo dpkg-dev file gzip debootstrap
        ;;
    peers)
        echo certbot lego uacme dehydrated strace time
        ;;
    configuration)
        echo ansible-core python3-apt puppet-agent
        ;;
    *)
        die "unknown group '$1'; expected build, run, test, lint, coverage, package, peers or configuration"
        ;;
    esac
}

# Names on standard input, one a line; prints those that are not installed.
missing_of() {
    while read -r package; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=absent
        [ "$status" = installed ] || echo "$package"
    done
}

has_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

all_have_candidates() {
    for package in "$@"; do
        has_candidate "$package" || return 1
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Where this machine has its release from: a mirror may be all that it reaches.
archive() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(RELEASE)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' \
        'Component: main' |
        awk -F '|' -v name="$(codename)" '$1 == name || $2 == name { print $3; exit }'
}

# Backports never replace what main has (priority 100), so the extra source changes nothing else.
enable_backports() {
    [ "$(codename)" = bookworm ] || return 0
    [ ! -e "$BACKPORTS_LIST" ] || return 0
    url=$(archive)
    [ -n "$url" ] || die "apt has no source of Debian's own packages: add $BACKPORTS_SUITE by hand"
    echo "install-packages: adding $BACKPORTS_SUITE in $BACKPORTS_LIST for $1" >&2
    echo "deb $url $BACKPORTS_SUITE main" |
        as_root tee "$BACKPORTS_LIST" >/dev/null
}

refresh() {
    as_root apt-get update -q || die "apt-get update failed; see the lines above"
}

install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"
}

# Tests do without those that can't be had, and say so.
unpack_servers() {
    servers=$(dirname "$0")/../build/servers
    # A package, and a file of it that tells whether it is here.
    for entry in nginx:sbin/nginx haproxy:sbin/haproxy postfix:sbin/postfix \
        dovecot-core:sbin/dovecot dovecot-imapd:lib/dovecot/imap caddy:bin/caddy; do
        package=${entry%%:*}
        if [ -e "/usr/${entry#*:}" ] || [ -e "$servers/usr/${entry#*:}" ]; then
            continue
        fi
        mkdir -p "$servers/download"
        if ! (cd "$servers/download" && apt-get download -q "$package" >/dev/null 2>&1) ||
            ! dpkg-deb -x "$servers/download/$package"_*.deb "$servers"; then
            echo "install-packages: $package can't be downloaded: its test is skipped" >&2
        fi
    done
}

main() {
    list_only=no
    if [ "${1:-}" = --list ]; then
        list_only=yes
        shift
    fi
    [ $# -gt 0 ] || die "name at least one group: build, run, test, lint, coverage, package"

    groups=$*
    names=
    for group in "$@"; do
        members=$(group_packages "$group") || exit 1
        names="$names $members"
    done
    # Package names have no blanks: splitting is wanted here and below.
    # shellcheck disable=SC2086
    wanted=$(printf '%s\n' $names | sort -u)
    if [ "$list_only" = yes ]; then
        printf '%s\n' "$wanted"
        return
    fi

    # shellcheck disable=SC2086
    command -v dpkg-query >/dev/null ||
        die "this is not a Debian system (no dpkg-query); install the equivalents of:" $wanted
    missing=$(printf '%s\n' "$wanted" | missing_of)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    set -- $missing
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        die "missing: $*. Neither root nor sudo; run as root: sh $0 $groups"

    all_have_candidates "$@" || refresh
    for package in python3-varlink pkcs11-provider; do
        case " $* " in
        *" $package "*)
            has_candidate "$package" || {
                enable_backports "$package"
                refresh
            }
            ;;
        esac
    done
    for package in "$@"; do
        has_candidate "$package" || die "no package '$package' in the configured sources"
    done
    # Lists that are older than the mirror name files that are gone: once more with fresh ones.
    install "$@" || {
        refresh
        install "$@" || die "apt-get could not install: $*"
    }
}

main "$@"
case " $* " in
*" --list "*) ;;
*" test "*) unpack_servers ;;
esac
