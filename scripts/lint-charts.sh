#!/usr/bin/env bash
# Checks the example charts: helm lint, and what they render to, whole and in
# every selection. Exits 1 if a check fails, 3 if a tool is missing.
#
# Needs helm 3 on PATH, and python3 with PyYAML.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v helm >/dev/null || { echo "helm is not on PATH; install helm 3: https://helm.sh/docs/intro/install/" >&2; exit 3; }
python3 -c 'import yaml' 2>/dev/null || { echo "python3 with PyYAML is needed: pip install pyyaml" >&2; exit 3; }

charts=examples/helm-charts
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failures=0

fail() {
  echo "FAIL  $*" >&2
  failures=$((failures + 1))
}

# Renders to a file; Helm's own words only if that fails.
render() {
  local to=$1
  shift
  helm template example "$@" >"$out/$to" 2>"$out/log" || { fail "helm template $*"; cat "$out/log" >&2; : >"$out/$to"; }
}

# Checks the objects in a file, given how many services and shared ConfigMaps
# there must be.
check() {
  local what=$1 file=$2
  shift 2
  if python3 - "$out/$file" "$@" <<'PYTHON'; then echo "ok    $what"; else fail "$what"; fi
import re
import sys
import yaml

path, services_wanted, shared_wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
text = open(path).read()
problems = []
if "<no value>" in text:
    problems.append("<no value> in the output")
# What Argo Rollouts fills in is for it to expand.
if "{{" in re.sub(r"\{\{args\.[a-z-]+\}\}", "", text):
    problems.append("an unexpanded {{ in the output")

prefix = "orchestrator.rtte.com/"
required = [prefix + "service", prefix + "customer"] + [
    "app.kubernetes.io/" + key for key in ("name", "instance", "part-of", "version")
]
workloads, shared, seen, references = [], [], set(), []
for obj in yaml.safe_load_all(text):
    if not obj:
        continue
    kind, meta = obj["kind"], obj["metadata"]
    name, labels = meta["name"], meta.get("labels", {})
    here = f"{kind} {name}"
    if (kind, name) in seen:
        problems.append(f"{here} is there twice")
    seen.add((kind, name))
    if kind in ("Namespace", "Secret"):
        problems.append(f"{here}: no object of that kind, ever")
    if len(name) > 63 or not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        problems.append(f"{here}: not a usable name")
    for key in required:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", labels.get(key, "")):
            problems.append(f"{here}: label {key} is {labels.get(key)!r}")
    if not re.fullmatch(r"-?[0-9]+", meta.get("annotations", {}).get("argocd.argoproj.io/sync-wave", "")):
        problems.append(f"{here}: no sync wave")
    if kind == "ConfigMap" and labels.get(prefix + "service") == "base":
        shared.append(name)
    if kind in ("Deployment", "Rollout"):
        workloads.append(name)
        template = obj["spec"]["template"]
        selector = obj["spec"]["selector"]["matchLabels"]
        if not selector.items() <= template["metadata"]["labels"].items():
            problems.append(f"{here}: does not select its own pods")
        for source in template["spec"]["containers"][0].get("envFrom", []):
            if not next(iter(source.values())).get("optional"):
                problems.append(f"{here}: a pod would hang on {source}")
        for volume in template["spec"].get("volumes", []):
            if "persistentVolumeClaim" in volume:
                references.append((here, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        for service in ("activeService", "previewService"):
            if "blueGreen" in obj["spec"]["strategy"]:
                references.append((here, "Service", obj["spec"]["strategy"]["blueGreen"][service]))
        references.append((here, "Service", name))
for here, kind, name in references:
    if (kind, name) not in seen:
        problems.append(f"{here}: needs {kind} {name}, which is not there")
if len(workloads) != services_wanted:
    problems.append(f"{len(workloads)} services instead of {services_wanted}")
if len(shared) != shared_wanted:
    problems.append(f"{len(shared)} shared ConfigMaps instead of {shared_wanted}")
print("\n".join("      " + problem for problem in problems), end="\n" if problems else "")
sys.exit(bool(problems))
PYTHON
}

# A rendering that must fail, with these words.
refused() {
  local words=$1
  shift
  if helm template example "$@" >/dev/null 2>"$out/log"; then
    fail "rendered, but must not: $*"
  elif grep -qF -- "$words" "$out/log"; then
    echo "ok    refused: $words"
  else
    fail "refused, but without saying '$words': $*"
    cat "$out/log" >&2
  fi
}

for chart in base customers/customer-a customers/customer-b; do
  if helm lint --strict "$charts/$chart" >"$out/lint" 2>&1; then
    echo "ok    lint $chart"
  else
    fail "lint $chart"
    cat "$out/lint" >&2
  fi
done

render empty "$charts/base"
check "base without values renders nothing" empty 0 0

for customer in customer-a customer-b; do
  chart=$charts/customers/$customer
  values=$chart/values.yaml
  local_values=$charts/overlays/local.yaml

  render all "$chart"
  check "$customer" all 55 8
  render local "$chart" -f "$local_values"
  check "$customer, local" local 55 8
  grep -q PersistentVolumeClaim "$out/local" && fail "$customer, local: has a volume"
  [ "$(grep -c 'image: ' "$out/local")" = "$(grep -c 'image: "localhost/health:1"' "$out/local")" ] || fail "$customer, local: an image is not the stand-in"

  render from-base "$charts/base" -f "$values"
  check "$customer, by the base chart" from-base 55 8
  # Only the "# Source:" comments differ: with the chart's name in them.
  diff <(grep -v '^# Source' "$out/all") <(grep -v '^# Source' "$out/from-base") >&2 || fail "$customer: its chart and the base chart render differently"

  render one "$chart" --set render.service=payment-service
  check "$customer, one service" one 1 0
  render shared "$chart" --set render.part=shared
  check "$customer, the shared part" shared 0 8
  render services "$chart" --set render.part=services
  check "$customer, the services" services 55 0

  # One application per service must add up to the whole.
  cp "$out/shared" "$out/sum"
  for service in $(sed -n 's/^      - name: //p' "$values"); do
    render part "$chart" --set "render.service=$service"
    cat "$out/part" >>"$out/sum"
  done
  check "$customer, service by service" sum 55 8
  [ "$(grep -c '^kind' "$out/sum")" = "$(grep -c '^kind' "$out/all")" ] || fail "$customer: the parts are not the whole"

  # A new tag touches the services that use it and nothing else.
  render tagged "$chart" --set global.imageTag=v9.9.9
  if python3 - "$out/all" "$out/tagged" <<'PYTHON'; then echo "ok    $customer, a new tag"; else fail "$customer, a new tag"; fi
import sys
import yaml

label = "orchestrator.rtte.com/service"
before, after = (
    {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(open(path)) if o} for path in sys.argv[1:]
)
touched = {o["metadata"]["labels"][label] for key, o in after.items() if o != before.get(key)}
ours = {
    o["metadata"]["labels"][label]
    for o in after.values()
    if o["kind"] in ("Deployment", "Rollout") and "v9.9.9" in o["spec"]["template"]["spec"]["containers"][0]["image"]
}
print(f"      touched {len(touched)} of 55")
sys.exit(touched != ours or not 0 < len(ours) < 55)
PYTHON

  refused "has no service \"no-such-service\"" "$chart" --set render.service=no-such-service
  refused "render.part: nonsense" "$chart" --set render.part=nonsense
done

# An analysis of each Rollout, and only where it is asked for.
render plain "$charts/customers/customer-a"
render analysed "$charts/customers/customer-a" --set global.analysis.prometheus=http://prometheus:9090
check "customer-a, analysed" analysed 55 8
if python3 - "$out/plain" "$out/analysed" <<'PYTHON'; then echo "ok    an analysis of each Rollout"; else fail "an analysis of each Rollout"; fi
import sys
import yaml

plain, analysed = ([o for o in yaml.safe_load_all(open(path)) if o] for path in sys.argv[1:])
templates = {o["metadata"]["name"]: o["spec"] for o in analysed if o["kind"] == "AnalysisTemplate"}
rollouts = [o for o in analysed if o["kind"] == "Rollout"]
wrong = [o["metadata"]["name"] for o in plain if o["kind"] == "AnalysisTemplate" or "nalysis" in str(o["spec"] if "spec" in o else "")]
for rollout in rollouts:
    strategy = rollout["spec"]["strategy"]
    analysis = strategy.get("canary", {}).get("analysis") or strategy.get("blueGreen", {}).get("postPromotionAnalysis")
    template = templates.pop(analysis["templates"][0]["templateName"])
    if {arg["name"] for arg in template["args"]} != {arg["name"] for arg in analysis["args"]}:
        wrong.append(rollout["metadata"]["name"])
print(f"      {len(rollouts)} Rollouts")
sys.exit(bool(wrong or templates or not rollouts))
PYTHON
refused "global.analysis.successRate" "$charts/customers/customer-a" --set global.analysis.prometheus=x --set global.analysis.successRate=95

# Waves: any whole number, and 0 where none is given.
wave() {
  cat >"$out/wave.yaml" <<YAML
global: {customerId: c}
microservices:
  group: {$1 services: [{name: s, image: "x/y:1", replicas: 0$2}]}
YAML
  render wave "$charts/base" -f "$out/wave.yaml"
  if grep -q "sync-wave: \"$3\"" "$out/wave"; then echo "ok    wave $3 (${1:-none}${2:-})"; else fail "wave $3 from '$1' '$2'"; fi
  grep -q 'replicas: 0' "$out/wave" || fail "replicas: 0 is not kept"
}
wave "sync-wave: 7," "" 7
wave "sync-wave: -3," "" -3
wave "" "" 0
wave "sync-wave: 2," ", sync-wave: 12" 12

if [ "$failures" -gt 0 ]; then
  echo "$failures failed" >&2
  exit 1
fi
echo "all passed"
