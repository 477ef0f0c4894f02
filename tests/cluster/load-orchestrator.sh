#!/usr/bin/env bash
# load-orchestrator.sh PROGRAM: makes the orchestrator's image with this program and gives it to the test cluster, as
# localhost/argocd-orchestrator:1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
archive=$(mktemp -u --suffix=.tar)
trap 'rm -f "$archive"' EXIT
"$here/../../scripts/build-image.sh" --tag=argocd-orchestrator:1 --program="$1" --archive="$archive"
ctr images import "$archive" >/dev/null
