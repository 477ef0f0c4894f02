#!/usr/bin/env bash
# How a server on this machine fares with many customers and many who watch.
#
#   scripts/load-tests.sh [--scenario=overview|streams|all] [--customers=N] [--clients=N] [--profile=dev|release]
#                         [--program=FILE]
#
# `overview`: the request that the page's overview is made of, with 1,000 customers of 55 services in the database; it
# fails where the median is not under 100 ms. `streams`: 100 clients on the event stream while 55 services are
# deployed. Everything is on 127.0.0.1 and bounded. Needs cargo, git and python3. docs/performance.md has figures.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=release
program=
arguments=()
for argument in "$@"; do
  case $argument in
    --profile=dev | --profile=release) profile=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    --scenario=* | --customers=* | --clients=*) arguments+=("$argument") ;;
    *)
      echo "unknown argument: $argument" >&2
      sed -n '4,5s/^# *//p' "$0" >&2
      exit 2
      ;;
  esac
done

if [[ -z $program ]]; then
  cargo build --locked --profile "$profile"
  folder=$profile
  [[ $profile == dev ]] && folder=debug
  program=${CARGO_TARGET_DIR:-target}/$folder/argocd-orchestrator
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" --data-dir "$work/data" demo --speed 400 >"$work/demo.log" 2>&1 || { cat "$work/demo.log" >&2; exit 1; }
python3 scripts/load_tests.py "$program" "$work" "${arguments[@]}"
