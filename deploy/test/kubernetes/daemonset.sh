# The DaemonSet on a cluster whose node has no plugin: its init container, which is the image, puts them there, and the node becomes ready; what is
# taken away comes back; and they go when they are told to and no pod needs them.
. /run/test/kubernetes/machine
machine
apt containerd
sed -i 's,/usr/lib/cni,/opt/cni/bin,' /etc/containerd/config.toml
mkdir -p /etc/cni/net.d
systemctl enable --now containerd
images
quiet ctr --namespace k8s.io images import /run/release/trestle-image-*.tar
page 'A cluster to try it with'
page 'The kubelet'
tar -C /tmp -xzf /run/release/trestle-kubernetes-*.tgz

ours() { kubectl --namespace kube-system "$@"; }
# says waits until a container of the DaemonSet has said something so many times.
says() { timeout 120 sh -c "tail --lines +1 --quiet --follow=name --retry /var/log/pods/kube-system_trestle-*/$1/*.log | grep -q -m $3 '$2'"; }

ours apply -k /tmp/base
ours rollout status daemonset/trestle --timeout=3m
same 'trestle' "$(/opt/cni/bin/trestle version | head -n 1 | cut -d ' ' -f 1)"
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge
tar -xzOf /run/release/trestle-linux-*.tgz ./conf/60-node.conflist >/etc/cni/net.d/60-node.conflist
page 'The node is ready'
trestle() { /opt/cni/bin/trestle "$@"; }
page 'A pod that answers'
answers 8080

rm /opt/cni/bin/bridge
says stay installed: 2
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge

# Back: refused while the pod lives, and done by itself when it is gone.
ours apply -k /tmp/remove
timeout 120 sh -c "kubectl --namespace kube-system get pods --watch --output \
	jsonpath='{.status.initContainerStatuses[0].name} {.status.initContainerStatuses[0].restartCount}{\"\\n\"}' | grep -q -m 1 'uninstall [1-9]'"
grep -q 'attachments are of these plugins' /var/log/pods/kube-system_trestle-*/uninstall/*.log
answers 8080
kubectl delete pod web
ours rollout status daemonset/trestle --timeout=5m
same '' "$(find /opt/cni/bin -type f)"
ours delete -k /tmp/remove
