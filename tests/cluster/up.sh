#!/usr/bin/env bash
# Starts a real single-node Kubernetes (real pods) with Argo CD and Argo Rollouts as processes of this host, and Argo Events
# and Argo Workflows where they are asked for. CLUSTER_PARTS ("argocd rollouts" by default) says what beside Kubernetes itself. Needs root on
# Linux, and what setup-test-env.sh installs and builds. State lives in $CLUSTER_HOME/run; down.sh removes it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
if [ -e "$CLUSTER_RUN" ]; then
  alive=true
  for p in "$CLUSTER_RUN"/pid/*; do ours "$(cat "$p" 2>/dev/null)" || alive=false; done
  [ -e "$CLUSTER_RUN/up" ] && $alive && { echo "already up; down.sh stops it"; exit 0; }
  "$here/down.sh" >/dev/null   # what an earlier, ended or failed, start left behind
fi
mkdir -p "$CLUSTER_RUN"/{log,pid,cni,argocd/{tls,ssh,gpg/keys,gpg/source,plugins}} && chmod 700 "$CLUSTER_RUN/argocd/gpg/keys"
cd "$CLUSTER_RUN"

# start NAME COMMAND...: in the background, log and pid kept
start() { local n=$1; shift; nohup "$@" >"log/$n.log" 2>&1 & echo $! >"pid/$n"; }
# wait_for WHAT SECONDS COMMAND...
wait_for() {
  local what=$1 limit=$2; shift 2
  for _ in $(seq $((limit * 5))); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "$what did not come up in $limit s; see $CLUSTER_RUN/log" >&2; exit 1
}
# module NAME: the folder of a Go module that build.sh fetched (its manifests are applied from there)
module() { (cd "$here/tools/$1" && go mod download -json "$2" | jq -r .Dir); }
crds() { find "$1" -name '*.yaml' ! -name kustomization.yaml -print0 | xargs -0 -n1 kubectl apply --server-side -f; }

# --- network: one address that pods and processes both reach
ip link show cluster0 >/dev/null 2>&1 || ip link add cluster0 type bridge
ip addr replace "$CLUSTER_HOST_IP/24" dev cluster0 && ip link set cluster0 up
sysctl -qw net.ipv4.ip_forward=1

# --- control plane
start etcd etcd --data-dir etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
openssl genrsa -out sa.key 2048 2>/dev/null
token=$(openssl rand -hex 16)
openssl req -x509 -newkey rsa:2048 -nodes -keyout kubelet-ca.key -out kubelet-ca.crt -days 30 -subj /CN=kubelet-ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout kubelet-client.key -out kubelet-client.csr -subj /O=system:masters/CN=kube-apiserver 2>/dev/null
openssl x509 -req -in kubelet-client.csr -CA kubelet-ca.crt -CAkey kubelet-ca.key -CAcreateserial -days 30 -out kubelet-client.crt 2>/dev/null
echo "$token,admin,admin,\"system:masters\"" >tokens.csv
# What the orchestrator asks for, to be counted: tests run it with this service account.
cat >audit.yaml <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["system:serviceaccount:argocd-orchestrator:argocd-orchestrator"]}
- {level: None}
YAML
wait_for etcd 20 curl -fs http://127.0.0.1:2379/health
start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-account-key-file=sa.key --service-account-signing-key-file=sa.key \
  --service-account-issuer=https://kubernetes.default.svc --cert-dir=certs --token-auth-file=tokens.csv --authorization-mode=Node,RBAC --allow-privileged=true \
  --secure-port=6443 --bind-address=0.0.0.0 --advertise-address="$CLUSTER_HOST_IP" --service-cluster-ip-range=10.96.0.0/16 \
  --audit-policy-file=audit.yaml --audit-log-path=log/audit.log \
  --kubelet-preferred-address-types=InternalIP --kubelet-client-certificate=kubelet-client.crt --kubelet-client-key=kubelet-client.key
cat >kubeconfig <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: test, context: {cluster: test, user: admin, namespace: argocd}}]
current-context: test
YAML
wait_for kube-apiserver 60 kubectl get --raw /readyz
start kube-controller-manager kube-controller-manager --kubeconfig=kubeconfig --service-account-private-key-file=sa.key --root-ca-file=certs/apiserver.crt \
  --leader-elect=false --controllers='*,-nodeipam,-route,-service-lb-controller'
start kube-scheduler kube-scheduler --kubeconfig=kubeconfig --leader-elect=false

# --- node: containerd, kubelet, kube-proxy, CoreDNS
cat >containerd.toml <<TOML
version = 2
root = "$CLUSTER_RUN/containerd"
state = "$CLUSTER_RUN/containerd-state"
[grpc]
  address = "$CONTAINERD_ADDRESS"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CLUSTER_RUN/cni"
TOML
cat >cni/10-cluster.conflist <<'JSON'
{"cniVersion":"0.4.0","name":"cluster","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
 "ipam":{"type":"host-local","ranges":[[{"subnet":"10.78.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
start containerd containerd -c containerd.toml
wait_for containerd 20 ctr version
printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >Containerfile.pause
"$here/load-image.sh" pause:1 Containerfile.pause "$CLUSTER_HOME/bin"
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://$CONTAINERD_ADDRESS
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $CLUSTER_RUN/kubelet-ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
maxPods: 250
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 99
imageGCLowThresholdPercent: 98
serializeImagePulls: false
YAML
start kubelet kubelet --config=kubelet.yaml --kubeconfig=kubeconfig --root-dir="$CLUSTER_RUN/kubelet" --hostname-override=node1 --node-ip="$CLUSTER_HOST_IP"
start kube-proxy kube-proxy --kubeconfig=kubeconfig --hostname-override=node1 --proxy-mode=iptables --cluster-cidr=10.78.0.0/24 \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
cat >Corefile <<CORE
.:53 {
  bind $CLUSTER_HOST_IP
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $CLUSTER_RUN/kubeconfig test
    pods insecure
    ttl 5
  }
  cache 5
}
CORE
start coredns coredns -conf Corefile
kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-cluster, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: [$CLUSTER_HOST_IP]}]
YAML
wait_for node 60 bash -c 'kubectl get node node1 | grep -qw Ready'

# --- the image that stands in for every service: see images/health.c
printf 'FROM scratch\nCOPY health /health\nUSER 65532\nENTRYPOINT ["/health"]\n' >Containerfile.health
"$here/load-image.sh" health:1 Containerfile.health "$CLUSTER_HOME/bin"

for ns in argocd argocd-orchestrator; do kubectl create namespace $ns; done

# --- Argo CD
if part argocd; then
cd_dir=$(module argo-cd github.com/argoproj/argo-cd/v3)
kubectl apply --server-side -k "$cd_dir/manifests/crds"
kubectl -n argocd apply -k "$cd_dir/manifests/base/config"
kubectl -n argocd patch secret argocd-secret --type merge -p "{\"stringData\":{\"server.secretkey\":\"$(openssl rand -base64 24)\"}}"
# Each becomes known on its own.
for kind in applications applicationsets appprojects; do wait_for "Argo CD's $kind" 20 kubectl -n argocd get "$kind.argoproj.io"; done
kubectl apply -f - <<'YAML'
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], clusterResourceWhitelist: [{group: '*', kind: '*'}]}
YAML
start redis redis-server --port 6379 --save '' --appendonly no
argocd_env=(env ARGOCD_FAKE_IN_CLUSTER=true ARGOCD_TLS_DATA_PATH="$CLUSTER_RUN/argocd/tls" ARGOCD_SSH_DATA_PATH="$CLUSTER_RUN/argocd/ssh"
  ARGOCD_GPG_DATA_PATH="$CLUSTER_RUN/argocd/gpg/source" ARGOCD_GNUPGHOME="$CLUSTER_RUN/argocd/gpg/keys" ARGOCD_GPG_ENABLED=false
  ARGOCD_PLUGINSOCKFILEPATH="$CLUSTER_RUN/argocd/plugins" ARGOCD_SYNC_WAVE_DELAY="${ARGOCD_SYNC_WAVE_DELAY:-2}" HOSTNAME=argocd-0)
start argocd-repo-server "${argocd_env[@]}" ARGOCD_BINARY_NAME=argocd-repo-server argocd --port 8081 --metrics-port 8084 --redis localhost:6379 --disable-tls
wait_for argocd-repo-server 30 bash -c '</dev/tcp/127.0.0.1/8081'
start argocd-controller "${argocd_env[@]}" ARGOCD_BINARY_NAME=argocd-application-controller argocd --metrics-port 8082 --redis localhost:6379 \
  --repo-server localhost:8081 --repo-server-plaintext --app-resync 60 --app-resync-jitter 0
start argocd-applicationset "${argocd_env[@]}" ARGOCD_BINARY_NAME=argocd-applicationset-controller argocd --argocd-repo-server localhost:8081 \
  --repo-server-plaintext --metrics-addr :12345 --probe-addr :12346 --webhook-addr :7001 --enable-progressive-syncs
start argocd-server "${argocd_env[@]}" ARGOCD_BINARY_NAME=argocd-server argocd --insecure --disable-auth --port 18080 --metrics-port 8083 \
  --redis localhost:6379 --repo-server localhost:8081 --repo-server-plaintext
wait_for argocd-server 60 bash -c 'exec 3<>/dev/tcp/127.0.0.1/18080'
fi

# --- Argo Rollouts
if part rollouts; then
crds "$(module argo-rollouts github.com/argoproj/argo-rollouts)/manifests/crds"
start rollouts-controller rollouts-controller --kubeconfig "$KUBECONFIG" --leader-elect=false --metricsPort 8190 --healthzPort 8191
fi

# --- Argo Events: controllers as a process, EventSources and Sensors as real pods, one NATS for the event bus
if part events; then
kubectl create namespace argo-events
# With TLS, or clients of Argo Events refuse it.
openssl req -x509 -newkey rsa:2048 -nodes -keyout nats.key -out nats.crt -days 30 -subj /CN=nats -addext "subjectAltName=IP:$CLUSTER_HOST_IP" 2>/dev/null
start nats nats-server -js -sd jetstream -a "$CLUSTER_HOST_IP" -p 4222 --tls --tlscert nats.crt --tlskey nats.key
events_dir=$(module argo-events github.com/argoproj/argo-events)
crds "$events_dir/manifests/base/crds"
printf 'FROM scratch\nCOPY argo-events /bin/argo-events\nENTRYPOINT ["/bin/argo-events"]\n' >Containerfile.events
"$here/load-image.sh" argo-events:1 Containerfile.events "$CLUSTER_HOME/bin"
mkdir -p /etc/argo-events   # the controller reads its settings at this fixed path
kubectl create --dry-run=client -o json -f "$events_dir/manifests/base/controller-manager/controller-config.yaml" |
  jq -r '.data["controller-config.yaml"]' >/etc/argo-events/controller-config.yaml
for kind in eventbus eventsources sensors; do wait_for "Argo Events' $kind" 20 kubectl -n argo-events get "$kind.argoproj.io"; done
start argo-events env ARGO_EVENTS_IMAGE=localhost/argo-events:1 IMAGE_PULL_POLICY=IfNotPresent argo-events controller \
  --leader-election=false --metrics-port 7791 --health-port 7792
fi

# --- Argo Workflows: the controller as a process, steps as real pods
if part workflows; then
kubectl create namespace argo-workflows
wf_dir=$(module argo-workflows github.com/argoproj/argo-workflows/v4)
crds "$wf_dir/manifests/base/crds/full"
printf 'FROM scratch\nCOPY argoexec /bin/argoexec\nENTRYPOINT ["/bin/argoexec"]\n' >Containerfile.argoexec
"$here/load-image.sh" argoexec:1 Containerfile.argoexec "$CLUSTER_HOME/bin"
# Without it the controller does not start.
kubectl apply -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap, namespace: argo-workflows}
data:
  metricsConfig: |
    enabled: false
YAML
for kind in workflows workflowtemplates clusterworkflowtemplates cronworkflows workflowtasksets workflowtaskresults; do
  wait_for "Argo Workflows' $kind" 20 kubectl -n argo-workflows get "$kind.argoproj.io"
done
# The times are for tests: by default a workflow is looked at every 10 s, and a step's progress is told once a minute.
start workflow-controller env LEADER_ELECTION_DISABLE=true DEFAULT_REQUEUE_TIME=1s ARGO_PROGRESS_PATCH_TICK_DURATION=2s \
  workflow-controller --kubeconfig "$KUBECONFIG" -n argo-workflows --executor-image localhost/argoexec:1 \
  --executor-image-pull-policy IfNotPresent --executor-plugins
fi

sleep 2
for p in pid/*; do kill -0 "$(cat "$p")" 2>/dev/null || { echo "${p#pid/} died; see $CLUSTER_RUN/log/${p#pid/}.log" >&2; exit 1; }; done
touch up
echo "up: export KUBECONFIG=$KUBECONFIG"
