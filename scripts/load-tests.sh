#!/usr/bin/env bash
# How a server on this machine fares under load. Exits 0 if every promise was kept, 1 if not, 2 for wrong arguments.
#
#   scripts/load-tests.sh [--scenario=NAME] [--users=N] [--duration=TIME] [--ramp-up=TIME] [--customers=N] [--commits=N]
#                         [--profile=dev|release] [--program=FILE]
#
#   high-concurrency    users read all kinds of things at once while ten customers of 55 services are deployed
#   large-deployments   users watch the event stream while 55 services are deployed
#   rapid-updates       commits as fast as git makes them, each told by a signed push, some of them twice
#   resource-intensive  1,000 customers of 55 services in the database: the overview takes less than 100 ms
#
# Everything is on 127.0.0.1, and ends by itself. Needs cargo, git and python3. docs/performance.md has figures.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=release
program=
arguments=()
for argument in "$@"; do
  case $argument in
    --profile=dev | --profile=release) profile=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    *) arguments+=("$argument") ;;
  esac
done

if [[ -z $program ]]; then
  cargo build --locked --profile "$profile"
  folder=$profile
  [[ $profile == dev ]] && folder=debug
  program=${CARGO_TARGET_DIR:-target}/$folder/argocd-orchestrator
fi
python3 scripts/load_tests.py --program "$program" "${arguments[@]}"
