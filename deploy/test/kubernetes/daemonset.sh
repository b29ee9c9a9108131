# The DaemonSet on a cluster whose node has no plugin: its init container, which is the image, puts them there, and the node becomes ready; what is
# taken away comes back; and they go when they are told to and no pod needs them.
. /run/test/kubernetes/machine
machine
runtime
page 'A cluster to try it with'
page 'The kubelet'

# says waits until a container of the DaemonSet has said something so many times.
says() { within 120 sh -c "[ \$(cat /var/log/pods/kube-system_trestle-*/$1/*.log | grep -c '$2') -ge $3 ]"; }

# What docs/debugging.md has of a node whose runtime found no list.
within 60 sh -c "kubectl describe node $node | grep -q 'cni plugin not initialized'"

ours apply -k /tmp/base
ours rollout status daemonset/trestle --timeout=3m
same 'trestle' "$(/opt/cni/bin/trestle version | head -n 1 | cut -d ' ' -f 1)"
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge
tar -xzOf /run/release/trestle-linux-*.tgz ./conf/60-node.conflist >/etc/cni/net.d/60-node.conflist
page 'The node is ready'
page 'A pod that answers'
answers 8080

rm /opt/cni/bin/bridge
says stay installed: 2
cmp /opt/cni/bin/trestle /opt/cni/bin/bridge

# Back: refused while the pod lives, and done by itself when it is gone.
ours apply -k /tmp/remove
says uninstall 'attachments are of these plugins' 1
answers 8080
kubectl delete pod web
ours rollout status daemonset/trestle --timeout=5m
same '' "$(find /opt/cni/bin -type f)"
ours delete -k /tmp/remove
