module github.com/trestle-cni/trestle/test/runtimes

go 1.25.0

require (
	github.com/trestle-cni/trestle v0.0.0
	github.com/vishvananda/netlink v1.3.1
	golang.org/x/sys v0.45.0
	google.golang.org/grpc v1.75.1
	google.golang.org/protobuf v1.36.6
	k8s.io/cri-api v0.34.4
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/nftables v0.3.1-0.20251119083706-1db35da82052 // indirect
	github.com/mdlayher/netlink v1.8.1-0.20251028132421-dcc6cab9a6eb // indirect
	github.com/mdlayher/socket v0.5.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
	golang.org/x/text v0.32.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250707201910-8d1bb00bc6a7 // indirect
)

replace github.com/trestle-cni/trestle => ../..
