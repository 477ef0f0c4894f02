#!/usr/bin/env bash
# A real cluster on this machine for the end-to-end tests: Kubernetes with real pods, Argo CD, Argo Rollouts.
#
#   scripts/setup-test-env.sh [--build-only]
#
# Installs the Debian packages it needs, builds the cluster's programs once (about half an hour on two cores), and
# starts it (about a minute). Needs root, Debian, Go 1.26 or newer and gcc. Who has a cluster with Argo CD already
# needs none of this: the tests talk to the cluster of KUBECONFIG (see tests/cluster/README.md).
# Afterwards: export KUBECONFIG=$(scripts/setup-test-env.sh --kubeconfig)
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/cluster/env.sh

case ${1:-} in
  '' | --build-only) ;;
  --kubeconfig) echo "$KUBECONFIG"; exit ;;
  *) echo "usage: scripts/setup-test-env.sh [--build-only | --kubeconfig]" >&2; exit 2 ;;
esac

packages=(redis-server containerd runc containernetworking-plugins buildah iptables conntrack iproute2 jq openssl curl)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}"
  apt-get update -q >/dev/null
  # The distribution's own daemons are not started: the cluster brings its own.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}" >/dev/null
  rm -f /usr/sbin/policy-rc.d
fi
tests/cluster/build.sh
[ "${1:-}" = --build-only ] || tests/cluster/up.sh
