#!/usr/bin/env bash
# Records the picture of the page that the README shows, in docs/images/page.png: a deployment of the demo while a
# failure takes it back.
#
#   scripts/record-page.sh
#
# Needs what scripts/browser-tests.sh needs, and takes the same environment.
set -euo pipefail
cd "$(dirname "$0")/.."
export PAGE_PICTURE=$PWD/docs/images/page.png
scripts/browser-tests.sh support/picture.mjs
ls -l "$PAGE_PICTURE"
