#!/usr/bin/env bash
# Builds the programs of a control plane from the Go modules that */go.mod pin, each once, into the folder $1/bin.
# Beside them it lays what else those modules bring: resource types (crds) and what KWOK does (stages).
set -euo pipefail

home=$(realpath -m "$1")
cd "$(dirname "$0")"
mkdir -p "$home/bin" "$home/crds" "$home/stages"

command -v go >/dev/null || { echo "Go is needed to build the control plane; install it from https://go.dev/dl." >&2; exit 1; }

module_folder() { # where module $2 lies, which $1/go.mod pins
  go -C "$1" mod download "$2"
  go -C "$1" list -mod=readonly -m -f '{{.Dir}}' "$2"
}

# Clients refuse an API server that does not say its version.
kubernetes=$(go -C kubernetes list -mod=readonly -m -f '{{.Version}}' k8s.io/kubernetes)
stamp=k8s.io/component-base/version
ldflags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"

while read -r name module package; do
  [[ -x $home/bin/$name && $home/bin/$name -nt $module/go.sum ]] && continue
  start=$SECONDS
  echo "Building $name …" >&2
  nice -n 5 go -C "$module" build -mod=readonly -trimpath -ldflags "$ldflags" -o "$home/bin/$name" "$package"
  echo "Built $name in $((SECONDS - start)) s." >&2
done <<'PROGRAMS'
etcd kubernetes go.etcd.io/etcd/server/v3
kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager
kube-scheduler kubernetes k8s.io/kubernetes/cmd/kube-scheduler
kwok kubernetes sigs.k8s.io/kwok/cmd/kwok
keda-operator keda github.com/kedacore/keda/v2/cmd/operator
keda-adapter keda github.com/kedacore/keda/v2/cmd/adapter
karpenter karpenter github.com/aws/karpenter-provider-aws/kwok
PROGRAMS

stages=$(module_folder kubernetes sigs.k8s.io/kwok)/kustomize/stage
install -m 644 -t "$home/stages" "$stages"/node/fast/node-initialize.yaml \
  "$stages"/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml "$stages"/pod/fast/pod-ready.yaml
install -m 644 -t "$home/crds" "$(module_folder keda github.com/kedacore/keda/v2)"/config/crd/bases/*.yaml \
  "$(module_folder karpenter github.com/aws/karpenter-provider-aws)"/pkg/apis/crds/*.yaml
