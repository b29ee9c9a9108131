# Plain `make` prints the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
SHELL   := /bin/sh
PLUGIN  := github.com/trestle-cni/trestle/pkg/plugin

# Static, and the same bytes wherever they are built. Functions begin at multiples of 16 bytes, as on other 64-bit processors; unasked of 32 on amd64.
export CGO_ENABLED := 0
LEAN  := $(foreach p,$(shell sed '/^\#/d' cmd/uninlined),-gcflags "$(p)=-l")
ALIGN := $(if $(filter amd64,$(shell go env GOARCH 2>/dev/null)),-funcalign=16)
BUILD := go build -trimpath $(LEAN) -ldflags "-s -w $(ALIGN) -X $(PLUGIN).version=$(VERSION) -X $(PLUGIN).commit=$(COMMIT)"

# Debian keeps nft where an ordinary user's PATH does not look.
export PATH := $(PATH):/usr/sbin:/sbin

# What is packed is tried with: another's signature check, another's reader of images, an emulator, a fresh Debian.
TRIERS := git debootstrap minisign skopeo qemu-user-static

# Debian's runtimes, and those that test-runtimes-new builds. PLUGINS names the plugins to try, BESIDE others to compare, CHECKS a part of a check's name.
RUNTIMES := containerd-1.6 podman buildah ctr cnitool
BUILT    := containerd-2.4 nerdctl crio
PACKAGES := containerd runc podman conmon buildah containernetworking-plugins iproute2 nftables iptables
WITH     := $(if $(PLUGINS),-plugins $(PLUGINS)) $(if $(BESIDE),-beside $(BESIDE)) $(if $(CHECKS),-only '$(CHECKS)') $(if $(RECORD),-record $(RECORD))

# Debian's kernels to test on, by series; RUN is a regexp of tests' names, as go test has it, PART one of the parts of test/kernels/selection.go.
KERNEL  := 6.1 6.12
MACHINE := qemu-system-x86 busybox-static kmod e2fsprogs iproute2 nftables iptables curl procps strace containernetworking-plugins

# Where all of it is run, a virtual machine on a tap of ours besides, which needs the emulator and no lab.
GUEST := $(if $(PART)$(RUN),:,go run ./test/tally -count=1 -tags kernels -run TestGuestOnTap ./test/kernels)

# Every test: what takes longest begins first, and a third package works where two wait for the kernel. `make lint` has vetted them.
EVERY := -count=1 -vet=off -p=3 ./test/e2e ./test/laws ./...

# The reference of today, built where tests and benchmarks find it.
REFERENCE := .tools/reference/bridge
NEWEST    := -X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v1.10.0

.PHONY: help build reference demo demo-cluster test test-long test-kernels test-kernels-ci test-runtimes test-runtimes-new node test-node bench bench-long lint man release test-release test-cluster clean

help:
	@echo 'make build      the plugins into bin/, cnitool into .tools/'
	@echo 'make demo       the tutorial of container networking as a run, under 30 seconds'
	@echo 'make demo-cluster  three hosts that share a pool through etcd, and whose containers answer each other, under a minute'
	@echo 'make test       every test; needs no root, a quarter of an hour on two processors at rest, forty minutes at the most on a busy machine'
	@echo 'make test-long  the same tests at full size, end to end for the bundle too'
	@echo "make test-kernels    what must hold on any kernel, on Debian's $(KERNEL) in an emulator; KERNEL=6.1 PART=laws RUN=TestX: some of it"
	@echo 'make test-kernels-ci a selection of it, with all that the kernel here cannot'
	@echo 'make node       trestle-node into bin/: blocks of a pool that several hosts share (docs/cluster.md)'
	@echo 'make test-node  its tests: the model of the protocol, and real etcd processes; four minutes at rest'
	@echo 'make bench      ours beside the reference and the kernel: tables and plots into docs/benchmarks/'
	@echo 'make bench-long the whole matrix'
	@echo 'make test-runtimes      real container runtimes, as root: $(RUNTIMES)'
	@echo 'make test-runtimes-new  $(BUILT), built from source (a quarter of an hour)'
	@echo 'make lint       gofmt, go vet, staticcheck, and govulncheck where its database can be reached'
	@echo 'make reference  containernetworking/plugins 1.10.0 into .tools/reference: what the tests and benchmarks hold ours against (Go 1.26.8)'
	@echo 'make man        the manual pages into man/'
	@echo 'make release VERSION=v0.1.0  archives, packages, an image and their sums into dist/: the same bytes each time; MINISIGN_KEY=FILE signs them'
	@echo 'make test-release       makes it twice and compares; the packages in a fresh Debian, as root'
	@echo 'make test-cluster       a node and the DaemonSet under Kubernetes, built from source, in a fresh Debian, as root'
	@echo 'make clean      removes what the others made'

build:
	@mkdir -p bin .tools
	$(BUILD) -o bin/ ./cmd/...
	@$(BUILD) -o .tools/ github.com/containernetworking/cni/cnitool ./test/demo/peer

# A Go module of its own: neither the product nor its tests wait for the client of a store.
node:
	@mkdir -p bin
	cd cmd/trestle-node && $(BUILD) -o ../../bin/ .

test-node:
	@test/need etcd-server iproute2 nftables procps strace
	@$(MAKE) --no-print-directory reference
	@go build -o .tools/tally ./test/tally && cd cmd/trestle-node && ../../.tools/tally -count=1 ./...

# It wants a newer Go than the product: an older one says so here, before any test.
reference: $(REFERENCE)
$(REFERENCE): test/reference/build/go.mod test/reference/build/go.sum
	@go -C test/reference/build build -trimpath -ldflags "-s -w $(NEWEST)" -o "$(CURDIR)/.tools/reference/" tool && touch $@

demo:
	@test/need iproute2 nftables curl procps netbase
	@$(MAKE) --no-print-directory build
	@test/demo/run


demo-cluster:
	@test/need iproute2 nftables curl procps netbase etcd-server
	@$(MAKE) --no-print-directory build node
	@test/demo/cluster

test:
	@test/need iproute2 nftables iptables curl procps strace librsvg2-bin firewalld dbus dnsmasq-base isc-dhcp-server containernetworking-plugins
	@$(MAKE) --no-print-directory reference
	@go run ./test/tally $(EVERY)

test-long:
	@test/need iproute2 nftables iptables curl procps strace librsvg2-bin firewalld dbus dnsmasq-base isc-dhcp-server containernetworking-plugins
	@$(MAKE) --no-print-directory reference
	@TRESTLE_LONG=1 go run ./test/tally -timeout 4h $(EVERY)
	@TRESTLE_LONG=1 E2E_PLUGINS=bundle go run ./test/tally -count=1 -timeout 4h ./test/e2e

test-kernels:
	@test/need $(MACHINE)
	@$(MAKE) --no-print-directory reference
	@go run ./test/kernels $(if $(PART),-part '$(PART)') $(if $(RUN),-run '$(RUN)') $(KERNEL)
	@$(GUEST)

test-kernels-ci:
	@test/need $(MACHINE)
	@$(MAKE) --no-print-directory reference
	@go run ./test/kernels -ci -deadline 45m $(if $(PART),-part '$(PART)') $(KERNEL)
	@$(GUEST)

bench:
	@test/need nftables iptables strace containernetworking-plugins
	@$(MAKE) --no-print-directory reference
	@go run ./test/bench -out docs/benchmarks

bench-long:
	@test/need nftables iptables strace containernetworking-plugins
	@$(MAKE) --no-print-directory reference
	@go run ./test/bench -long -out docs/benchmarks

test-runtimes:
	@test/need $(PACKAGES)
	@$(MAKE) --no-print-directory reference
	@test/runtimes/run $(WITH) $(RUNTIMES)

test-runtimes-new:
	@test/need $(PACKAGES) gcc libc6-dev libsqlite3-dev
	@$(MAKE) --no-print-directory reference
	@test/runtimes/run $(WITH) $(BUILT)

# A file with the tag kernels is there besides the others, never instead of one (test/floors): so one look sees all.
lint:
	@test -z "$$(gofmt -l .)" || { echo 'gofmt: these files want it:'; gofmt -l .; exit 1; }
	go vet -tags kernels ./...
	go tool staticcheck -tags kernels ./...
	go -C test/runtimes vet ./...
	go -C deploy vet ./...
	go -C cmd/trestle-node vet ./...
	@deploy/vulnerable
	cd deploy && "$$(go -C .. tool -n staticcheck)" ./...
	cd test/runtimes && "$$(go -C ../.. tool -n staticcheck)" ./...
	cd cmd/trestle-node && "$$(go -C ../.. tool -n staticcheck)" ./...

man:
	@go run ./docs/man man

release:
	@go -C deploy run ./release -version $(VERSION) $(if $(ARCH),-arch $(ARCH)) $(if $(MINISIGN_KEY),-key "$$(realpath -- '$(MINISIGN_KEY)')")

test-release:
	@test/need $(TRIERS)
	@go build -o .tools/tally ./test/tally && cd deploy && ../.tools/tally -count=1 ./... && cd kubernetes && ../../.tools/tally -count=1 ./...

test-cluster:
	@test/need git debootstrap gcc libc6-dev libsqlite3-dev
	@deploy/test/kubernetes/run

clean:
	rm -rf bin .tools man dist
