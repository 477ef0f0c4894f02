# Sourced by the other scripts and by tests: where the test cluster keeps its things and how to reach it.
export CLUSTER_HOME=${CLUSTER_HOME:-$HOME/.cache/argocd-orchestrator/cluster}
export CLUSTER_RUN=$CLUSTER_HOME/run
export PATH=$CLUSTER_HOME/bin:$PATH
export KUBECONFIG=$CLUSTER_RUN/kubeconfig
# What runs beside Kubernetes itself; there is `events` (Argo Events and NATS) as well.
export CLUSTER_PARTS=${CLUSTER_PARTS:-argocd rollouts}
# This host, as pods see it.
export CLUSTER_HOST_IP=10.77.0.1
export CONTAINERD_ADDRESS=$CLUSTER_RUN/containerd.sock
export CONTAINERD_NAMESPACE=k8s.io

# part NAME: whether it was asked for.
part() { [[ " $CLUSTER_PARTS " == *" $1 "* ]]; }
# ours PID: alive, and started by up.sh in its folder (a pid may have been given to another process since).
ours() { [ -n "$1" ] && [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$CLUSTER_RUN" ]; }
