# docs/node.md, step by step: from a bare Debian with containerd to a node that is ready, a pod that answers, and back.
. /run/test/kubernetes/machine
machine
page 'The plugins'
page 'The runtime and its network'
page 'A cluster to try it with'
page 'The kubelet'
page 'The node is ready'
images
page 'A pod that answers' >/tmp/shown
answers 8080
grep -q '^answer$' /tmp/shown
grep -q '10\.85\.0\.[0-9]*.*8080' /tmp/shown
fails 'attachments are of these plugins' apt-get remove -y trestle
answers 8080
page 'And back'
same '' "$(tree)"
same '' "$(nft list ruleset | grep -e '10\.85\.0\.' -e 8080)"
