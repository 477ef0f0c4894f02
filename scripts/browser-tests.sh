#!/usr/bin/env bash
# Opens the page in a real browser, headless, while the demo runs and afterwards.
#
#   scripts/browser-tests.sh [FILE ...]
#
# Needs node 20 with npm, git and python3; installs Debian's Chromium where none is there. Environment:
#   ORCHESTRATOR_BINARY   the program; without it the one that was built last for release, else for debugging
#   BROWSER_SCREENSHOTS   where pictures go; without it a folder beside what is built
#   CHROMIUM              the browser
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
if [[ -z ${ORCHESTRATOR_BINARY:-} ]]; then
  for profile in release debug; do
    if [[ -x $target/$profile/argocd-orchestrator ]]; then
      ORCHESTRATOR_BINARY=$target/$profile/argocd-orchestrator
      break
    fi
  done
fi
if [[ ! -x ${ORCHESTRATOR_BINARY:-} ]]; then
  echo "no program in $target: run cargo build first, or set ORCHESTRATOR_BINARY" >&2
  exit 2
fi
ORCHESTRATOR_BINARY=$(realpath "$ORCHESTRATOR_BINARY")
mkdir -p "${BROWSER_SCREENSHOTS:=$target/browser-screenshots}"
BROWSER_SCREENSHOTS=$(realpath "$BROWSER_SCREENSHOTS")
export ORCHESTRATOR_BINARY BROWSER_SCREENSHOTS

for needed in node npm git python3; do
  if ! command -v "$needed" >/dev/null; then
    echo "$needed is needed" >&2
    exit 2
  fi
done
if [[ -z ${CHROMIUM:-} ]] && ! command -v chromium >/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium fonts-dejavu-core
fi
export CHROMIUM=${CHROMIUM:-$(command -v chromium)}

cd tests/browser
npm ci --no-audit --no-fund --loglevel=error
if (($#)); then files=("$@"); else files=(*.test.mjs); fi
node --test --test-concurrency=1 "${files[@]}"
echo "pictures are in $BROWSER_SCREENSHOTS"
