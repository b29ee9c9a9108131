module github.com/trestle-cni/trestle/cmd/trestle-node

go 1.25.0

require github.com/trestle-cni/trestle v0.0.0

replace github.com/trestle-cni/trestle => ../..
