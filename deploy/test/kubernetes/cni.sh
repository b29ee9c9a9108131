# trestle-node as the only CNI of a cluster: kube-controller-manager gives the Nodes their CIDRs, and the node is ready when the agent has made a network of its
# own, and not before; its pod and one on another node answer each other; and a pod keeps what it has when the agent goes.
. /run/test/kubernetes/machine
machine
runtime
rm $kubernetes/kube-controller-manager
cat >$kubernetes/kube-controller-manager <<-'END'
	#!/bin/sh
	exec /run/tools/kube-controller-manager "$@" --allocate-node-cidrs --cluster-cidr=10.244.0.0/16
END
chmod +x $kubernetes/kube-controller-manager
page 'A cluster to try it with'
page 'The kubelet'
same '' "$(ls /etc/cni/net.d)"

# What kube-proxy does for the one service that the agent asks for, which is the API server's.
nft "add table ip proxy; add chain ip proxy output { type nat hook output priority -100; }
	add rule ip proxy output ip daddr 10.96.0.1 tcp dport 443 dnat to $address:6443"

# tell runs a line of the page.
tell() { (cd /tmp && sh -euc "$(line docs/cluster.md "$1")"); }
tell 'kubectl apply -k cni'
page 'The node is ready'
cidr=$(kubectl get node "$node" --output jsonpath='{.spec.podCIDR}')
grep -q "\"subnet\": *\"$cidr\"" /run/cni/blocks/pods.json
same 10-pods.conflist "$(ls /etc/cni/net.d)"
tell 'kubectl -n kube-system rollout'
tell 'kubectl get nodes' | grep ' Ready '
same ok "$(curl --silent http://127.0.0.1:9498/readyz)"

# All that it may is to hear of Nodes.
as=--as=system:serviceaccount:kube-system:trestle-node
same yes "$(kubectl auth can-i watch nodes $as)"
same no "$(kubectl auth can-i get pods $as || true)"
same no "$(kubectl auth can-i patch nodes $as || true)"

page 'A pod that answers'
answers 8080
web=$(kubectl get pod web --output jsonpath='{.status.podIP}')
same "${cidr%.*}" "${web%.*}"

# A node more: from the start of its agent to the answer of its first pod to the other node.
. /run/test/kubernetes/second
echo "a new node's first pod answered another node $took ms after its agent's start"
same answer "$(pod curl --silent --show-error --max-time 5 "http://$web/")"
ip route show proto 118 | grep -q "^$theirs via 192.0.2.2 "
kubectl delete node two
within 20 sh -c '! ip route show proto 118 | grep -q via'
answers 8080

# A report of another machine under this Node's name, over which the kubelet writes its own: nothing is handed out, and what runs answers.
boot=$(cat /proc/sys/kernel/random/boot_id)
same "$boot" "$(kubectl get node "$node" --output jsonpath='{.status.nodeInfo.bootID}')"
kubectl patch node "$node" --subresource=status --type=merge --patch '{"status": {"nodeInfo": {"bootID": "another"}}}'
within 20 sh -c "curl --silent http://127.0.0.1:9498/readyz | grep -q 'another machine'"
within 40 kubectl wait --for=jsonpath="{.status.nodeInfo.bootID}=$boot" "node/$node" --timeout=30s
curl --silent http://127.0.0.1:9498/readyz | grep 'was another machine within 1m0s, and here is boot'
same '' "$(grep subnet /run/cni/blocks/pods.json)"
answers 8080

tell 'kubectl delete -k cni'
answers 8080
same 10-pods.conflist "$(ls /etc/cni/net.d)"
