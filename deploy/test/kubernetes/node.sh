# docs/node.md, step by step: from a bare Debian with containerd to a node that is ready, a pod that answers, and back.
. /run/test/kubernetes/machine
machine
page 'The plugins'
page 'The runtime and its network'
page 'A cluster to try it with'
page 'The kubelet'
page 'The node is ready'
within 60 ctr --namespace k8s.io version
images
page 'A pod that answers' >/tmp/shown
answers 8080
grep -q '^answer$' /tmp/shown
grep -q '10\.85\.0\.[0-9]*.*8080' /tmp/shown
fails 'attachments are of these plugins' apt-get remove -y trestle
answers 8080

# What the kubelet says where a plugin fails, which is what docs/errors.md has: what it is about, the cause and the remedy, in an event of 1024 bytes at the most.
event() { kubectl get events --field-selector "reason=FailedCreatePodSandBox,involvedObject.name=$1" --output jsonpath='{.items[0].message}' 2>&1; }
# refused has a pod begin in a network that cannot be, and looks for the words.
refused() {
	printf '{"cniVersion": "1.0.0", "name": "%s", "plugins": [%s]}' "$1" "$2" >/etc/cni/net.d/00-refused.conflist
	quiet kubectl run "$1" --image=docker.io/library/busybox:1.36 --restart=Never
	within 60 kubectl wait --for=create events --field-selector "reason=FailedCreatePodSandBox,involvedObject.name=$1" --timeout=1m
	event "$1" >"/tmp/$1"
	cat "/tmp/$1"
	echo
	grep -q "^Failed to create pod sandbox: .*$3" "/tmp/$1"
	[ "$(wc -c <"/tmp/$1")" -le 1024 ]
	kubectl describe pod "$1" | grep -q "Failed to create pod sandbox: .*$3"
	quiet kubectl delete pod "$1" --now
	rm /etc/cni/net.d/00-refused.conflist
}
ipam='"ipam": {"type": "host-local", "subnet": "10.99.0.0/24"}'
refused long "{\"type\": \"bridge\", \"bridge\": \"a-bridge-of-a-team\", $ipam}" 'a-bridge-of-a-team.*; mend the network.s configuration'
refused other "{\"type\": \"bridge\", \"bridge\": \"eth0\", $ipam}" 'eth0.*; '
refused parent "{\"type\": \"macvlan\", \"master\": \"eno9\", $ipam}" 'eno9: not found on the host; '
refused foreign '{"type": "bridge", "ipam": {"type": "calico-ipam"}}' 'calico-ipam.*; '

page 'And back'
same '' "$(tree)"
same '' "$(nft list ruleset | grep -e '10\.85\.0\.' -e 8080)"
