#!/usr/bin/env bash
# Sends a running server what its OpenAPI document allows, and what it does not, by schemathesis: every answer has to
# be documented, of the documented type and shape, and none may be a fault of the server (503 says `later`, and is
# documented).
#
#   scripts/api-tests.sh [--examples=N] [--seed=N] [--program=FILE]
#
# The server has data: two deployments of 55 services, one of which failed and was taken back. Everything is on
# 127.0.0.1. Event streams do not end, and are tested by tests/http/stream.rs instead. Needs cargo, git, curl and
# python3 (with venv); schemathesis is installed below the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."

examples=25
seed=1
program=
version=4.32.5

for argument in "$@"; do
  case $argument in
    --examples=*) examples=${argument#*=} ;;
    --seed=*) seed=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    *)
      echo "unknown argument: $argument" >&2
      echo "usage: scripts/api-tests.sh [--examples=N] [--seed=N] [--program=FILE]" >&2
      exit 2
      ;;
  esac
done

target=${CARGO_TARGET_DIR:-target}
if [[ -z $program ]]; then
  cargo build --locked
  program=$target/debug/argocd-orchestrator
fi
venv=$target/api-tests/venv
if [[ ! -x $venv/bin/st ]] || ! "$venv/bin/st" --version | grep -qF "$version"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "schemathesis==$version"
fi

work=$(mktemp -d)
server=
finish() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

echo "==> data"
"$program" --data-dir "$work/data" demo --speed 400 --fail payment-service >"$work/demo.log" 2>&1 ||
  { cat "$work/demo.log" >&2; exit 1; }
cat >"$work/config.yaml" <<YAML
sources:
  - name: examples
    url: file://$work/data/repository
    allow-file: true
    repository: rtte/argocd-orchestrator
    targets:
      - ref: refs/heads/main
        environment: production
YAML

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$program" --config "$work/config.yaml" --data-dir "$work/data" serve \
  --listen 127.0.0.1:0 --listen-http "127.0.0.1:$port" >"$work/server.log" 2>&1 &
server=$!
base=http://127.0.0.1:$port
for _ in $(seq 100); do
  curl -sf "$base/actuator/health/readiness" >/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done

# Real ids: most of what is drawn by chance names nothing.
first() { curl -sf "$base$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["id"])'; }
deployment=$(first /api/v1/deployments?state=succeeded)
event=$(first /api/v1/events)
cat >"$work/schemathesis.toml" <<TOML
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

[parameters]
"path.service" = "payment-service"
"path.customer" = "customer-a"

[[operations]]
include-path-regex = "/deployments/"
parameters = { "path.id" = "$deployment" }

[[operations]]
include-path-regex = "/events/"
parameters = { "path.id" = "$event" }
TOML

echo "==> schemathesis $version, seed $seed, at most $examples examples for each operation"
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
"$venv/bin/st" --config-file "$work/schemathesis.toml" run "$base/api/v1/openapi.json" \
  --checks "$checks" --exclude-path /api/v1/events/stream --phases examples,coverage,fuzzing \
  --max-examples "$examples" --seed "$seed" --generation-database none --workers 2 --no-color

echo "==> the server is still there"
curl -sf "$base/actuator/health" && echo
if grep -q "a request panicked" "$work/server.log"; then
  grep "a request panicked" "$work/server.log" >&2
  exit 1
fi
