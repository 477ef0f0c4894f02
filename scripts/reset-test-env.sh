#!/usr/bin/env bash
# Stops the test cluster of setup-test-env.sh, forgets all of its state, and starts it anew. What was built stays.
#
#   scripts/reset-test-env.sh [--down]      --down: stop and forget only
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  '' | --down) ;;
  *) echo "usage: scripts/reset-test-env.sh [--down]" >&2; exit 2 ;;
esac
tests/cluster/down.sh
[ "${1:-}" = --down ] || scripts/setup-test-env.sh
