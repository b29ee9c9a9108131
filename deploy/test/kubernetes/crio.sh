# docs/node.md with CRI-O instead of containerd, from the plugins to a pod that answers, and back. CRI-O itself is test/runtimes' build of it, and podman
# puts the images into the storage that the two share.
. /run/test/kubernetes/machine
machine
page 'The plugins'
apt podman conmon runc
mkdir -p /etc/crio /var/lib/crio /var/lib/containers
mount -t tmpfs tmpfs /var/lib/containers
cp /run/tools/crio /run/tools/pinns $kubernetes/
cat >/etc/crio/crio.conf <<-END
	[crio]
	storage_driver = "overlay"
	internal_wipe = false
	[crio.runtime]
	default_runtime = "runc"
	cgroup_manager = "cgroupfs"
	conmon_cgroup = "pod"
	pinns_path = "$kubernetes/pinns"
	hooks_dir = []
	[crio.runtime.runtimes.runc]
	runtime_path = "/usr/local/sbin/runc"
	monitor_path = "/usr/bin/conmon"
	monitor_cgroup = "pod"
	[crio.image]
	pause_image = "registry.k8s.io/pause:3.6"
	pause_command = ""
	signature_policy = "/etc/containers/policy.json"
END
printf '[Service]\nExecStart=%s/crio\n' $kubernetes >/usr/lib/systemd/system/crio.service
load='podman load'
images
page 'With CRI-O'
page 'A cluster to try it with'
page 'The kubelet'
page 'The node is ready'
kubectl get node "$node" --output jsonpath='{.status.nodeInfo.containerRuntimeVersion}{"\n"}' | grep '^cri-o://'
page 'A pod that answers'
answers 8080
fails 'attachments are of these plugins' apt-get remove -y trestle
page 'And back'
same '' "$(tree)"
