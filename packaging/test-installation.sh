#!/bin/sh
# Has the Ansible role and the Puppet module of the packages install signer and client in a clean
# Debian 12 root, from an archive of these packages; a second run must change nothing.
#
#   sh packaging/test-installation.sh [FOLDER]     FOLDER: packages that are made already
#
# Run as root, on Debian 12. Needs the Debian archive; some minutes.
set -eu

# shellcheck source=packaging/root.sh
. "$(dirname -- "$0")/root.sh"
# shellcheck source=packaging/trial.sh
. "$(dirname -- "$0")/trial.sh"

alone "$0" "$@"
work=$(mktemp -d)
chmod 0755 "$work"
root=$work/debian
trap 'leave_root "$root"; rm -rf --one-file-system "$work"' EXIT

quietly() { # COMMAND...
    "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "failed: $*"; }
}

# An archive of the packages, so that they are installed by name.
make_archive() { # FOLDER
    mkdir "$root/archive"
    cp "$1"/*.deb "$root/archive"
    (cd "$root/archive" && dpkg-scanpackages -m . >Packages 2>"$work/out")
    echo 'deb [trusted=yes] file:/archive ./' >"$root/etc/apt/sources.list.d/archive.list"
    quietly inside apt-get update -q
    quietly inside apt-get install -q -y --no-install-recommends ansible-core python3-apt puppet-agent
    # Role and module as they are packaged, on a host that has nothing of it yet.
    for package in "$root"/archive/acmeward-admin_*.deb; do
        dpkg-deb -x "$package" "$root/unpacked"
    done
}

configured_by() { # PROGRAM
    for package in acmeward acmeward-admin acmeward-signer; do
        quietly inside dpkg -s "$package"
    done
    quietly inside acmeward-admin policy check
    # Whose is what, by docs/operations.md; nobody named a file with the PIN.
    for path in 'policy.d 2750' 'signer.yaml 640' 'policy.d/web.yaml 640'; do
        is "/etc/acmeward/${path% *}" "${path#* } root:acmeward-config"
    done
    is /etc/acmeward/client.yaml "644 root:root"
    says "the signer takes what $1 wrote" "in order" inside runuser -u acmeward -- acmeward-signer --check-config
    ends_with 1 "others do not read policies" inside runuser -u nobody -- cat /etc/acmeward/policy.d/web.yaml
    says "the PIN is a credential" '/run/credentials/acmeward-signer.service/pin' \
        inside grep pin_source /etc/acmeward/signer.yaml
    for file in signer.yaml client.yaml policy.d/web.yaml; do
        grep -q "Written by $1" "$root/etc/acmeward/$file" || die "$file is not $1's"
    done
    quietly inside apt-get purge -q -y 'acmeward*'
    rm -rf "$root/etc/acmeward"
    ok "$1 installs and configures; a second run changes nothing"
}

play() { # PATTERN: what the end says
    quietly inside ansible-playbook -i /inventory --limit central -e ansible_become=false \
        -e acmeward_manage_service=false /unpacked/usr/share/acmeward/ansible/example.yml
    grep -q "$1" "$work/out" || { cat "$work/out" >&2; die "Ansible does not say $1"; }
}

apply() { # STATUS
    status=0
    inside puppet apply --modulepath /unpacked/usr/share/acmeward/puppet --detailed-exitcodes \
        --color false /site.pp >"$work/out" 2>&1 || status=$?
    [ $status -eq "$1" ] || { cat "$work/out" >&2; die "Puppet ends with $status, not $1"; }
}

[ $# -gt 0 ] || sh "$project/packaging/make-packages.sh" "$work/packages" >"$work/out" 2>&1 ||
    { tail -n 20 "$work/out" >&2; die "the packages can't be made"; }
folder=$(CDPATH='' cd -- "${1:-$work/packages}" && pwd)
make_root bookworm "$root" ca-certificates
enter_root "$root"
make_archive "$folder"

echo 'central ansible_connection=local' >"$root/inventory"
play 'changed=[1-9]'
play 'changed=0 '
configured_by Ansible

cat >"$root/site.pp" <<'PUPPET'
class { 'acmeward::signer':
  manage_service => false,
  config         => {
    token          => {
      module     => '/usr/lib/softhsm/libsofthsm2.so',
      uri        => 'pkcs11:token=acmeward',
      pin_source => '/run/credentials/acmeward-signer.service/pin',
    },
    cas            => [{ name => 'incommon', preset => 'sectigo-incommon-rsa-ov' }],
    accounts       => [{ name => 'dept-ov', ca => 'incommon', ceiling => ['dept.example.edu'] }],
    administrators => { officers => [{ group => 'acme-officers' }] },
  },
  policies       => {
    web => {
      owner      => 'web-team@dept.example.edu',
      account    => 'dept-ov',
      principals => [{ user => 'orders' }],
      names      => { subdomains_of => ['dept.example.edu'] },
    },
  },
}
class { 'acmeward::client': config => { signer => '/run/acmeward/signer.sock' } }
PUPPET
apply 2
apply 0
configured_by Puppet
echo "$name: all $checks checks hold"
