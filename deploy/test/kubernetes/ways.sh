# What README and deploy/README.md tell a cluster, each line as it stands there, by kubectl, kustomize and Helm: onto a node, into each directory that there is,
# with an image of one's own registry, and back.
. /run/test/kubernetes/machine
machine
ln -s /run/tools/helm /run/tools/kustomize $kubernetes/
runtime
page 'A cluster to try it with'
page 'The kubelet'
download
names=ghcr.io/trestle-cni/trestle
version=$(ls | sed -n 's/^trestle-kubernetes-\(.*\)\.tgz$/\1/p')
quiet ctr --namespace k8s.io images tag $names:"$version" registry.test/trestle:"$version"

# tell runs a line of a page, or several parts of one.
tell() {
	echo "+ $*"
	sh -euc "$*"
}

# there waits until the DaemonSet is done, and wants the plugins in a folder.
there() {
	ours rollout status daemonset/trestle --timeout=3m
	called "$1"
	cmp "$1/trestle" "$1/bridge"
}

# gone waits until it has taken them away.
gone() {
	ours rollout status daemonset/trestle --timeout=3m
	same '' "$(find "$1" -type f)"
}
images_of() { ours get pods --selector app.kubernetes.io/name=trestle --output jsonpath='{.items[*].spec.containers[*].image} {.items[*].spec.initContainers[*].image}'; }

tell "$(line README.md 'tar xzf trestle-kubernetes-')"
there /opt/cni/bin
tell "$(line deploy/README.md 'kubectl apply -k crio')"
there /usr/libexec/cni
tell "$(line deploy/README.md 'kubectl apply -k debian')"
there /usr/lib/cni
(cd base && tell "$(line deploy/README.md 'kustomize edit set image ghcr' | sed 's,REGISTRY,registry.test,')")
tell "$(line deploy/README.md 'kubectl apply -k base')"
there /opt/cni/bin
same "registry.test/trestle:$version registry.test/trestle:$version" "$(images_of)"
tell "$(line README.md 'kubectl apply -k remove')"
gone /opt/cni/bin
same "registry.test/trestle:$version registry.test/trestle:$version" "$(images_of)"
tell "$(line deploy/README.md 'kubectl delete -k remove')"

# Helm. What was said once holds for what is said later; of another folder nothing is taken away.
tell "$(line README.md 'helm install trestle')"
there /opt/cni/bin
upgrade=$(line deploy/README.md 'helm upgrade --install trestle')
tell "$upgrade $(line deploy/README.md '--set image.repository=' | sed 's,REGISTRY,registry.test,')"
there /opt/cni/bin
same "registry.test/trestle:$version registry.test/trestle:$version" "$(images_of)"
tell "$upgrade $(line deploy/README.md '--set binDir=/usr/libexec/cni')"
there /usr/libexec/cni
tell "$upgrade $(line deploy/README.md '--set binDir=/usr/lib/cni')"
there /usr/lib/cni
tell "$(line README.md 'helm upgrade trestle ./chart')"
gone /usr/lib/cni
called /usr/libexec/cni
tell "$(line deploy/README.md 'helm uninstall trestle')"
same '' "$(ours get daemonsets --output name)"
called /usr/libexec/cni
