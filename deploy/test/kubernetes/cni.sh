# trestle-node as the only CNI of a cluster: kube-controller-manager gives the Node its CIDR, and the node is ready when the agent has made a network of it, and
# not before; a pod has an address of the CIDR, and keeps it while the agent and the API server's word of it are gone.
. /run/test/kubernetes/machine
machine
apt containerd
sed -i 's,/usr/lib/cni,/opt/cni/bin,' /etc/containerd/config.toml
mkdir -p /etc/cni/net.d
systemctl enable --now containerd
images
quiet ctr --namespace k8s.io images import /run/release/trestle-image-*.tar
rm $kubernetes/kube-controller-manager
cat >$kubernetes/kube-controller-manager <<-'E'
	#!/bin/sh
	exec /run/tools/kube-controller-manager "$@" --allocate-node-cidrs --cluster-cidr=10.244.0.0/16
E
chmod +x $kubernetes/kube-controller-manager
page 'A cluster to try it with'
page 'The kubelet'
same '' "$(ls /etc/cni/net.d)"
tar -C /tmp -xzf /run/release/trestle-kubernetes-*.tgz

ours() { kubectl --namespace kube-system "$@"; }
ours apply -k /tmp/cni
page 'The node is ready'
cidr=$(kubectl get node "$node" --output jsonpath='{.spec.podCIDR}')
grep -q "\"subnet\": \"$cidr\"" /run/cni/blocks/pods.json
same 10-pods.conflist "$(ls /etc/cni/net.d)"
ours rollout status daemonset/trestle-node --timeout=3m
same ok "$(curl --silent http://127.0.0.1:9498/readyz)"

# All that it may is to hear of Nodes.
as=--as=system:serviceaccount:kube-system:trestle-node
same yes "$(kubectl auth can-i watch nodes $as)"
same no "$(kubectl auth can-i get pods $as || true)"
same no "$(kubectl auth can-i patch nodes $as || true)"

trestle() { /opt/cni/bin/trestle "$@"; }
page 'A pod that answers'
answers 8080
same "${cidr%.*}" "$(kubectl get pod web --output jsonpath='{.status.podIP}' | sed 's/\.[0-9]*$//')"

ours delete -k /tmp/cni --wait
answers 8080
same 10-pods.conflist "$(ls /etc/cni/net.d)"
