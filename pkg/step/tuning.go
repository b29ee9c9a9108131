package step

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Tuning is what a container's interface, and the network stack that it stands on, are to be like. Backup keeps what was before, and Tuned makes it so.
type Tuning struct {
	Owner    owner.Owner
	Dir      string // of the backups
	IfName   string
	MAC      net.HardwareAddr // nil, zero and "" leave a thing as it is
	Promisc  bool
	MTU      int
	AllMulti string // on or off
	TxQLen   string // a number
	Sysctls  []Sysctl
}

// Sysctl is one setting of the container's network stack.
type Sysctl struct {
	Key   string // net/ipv4/conf/eth0/arp_filter
	Value string
	Name  string // as it was asked for, by which a list of what is allowed goes
}

// verify compares values as values; what another form of the value is, if any, the caller knows.
func (want Sysctl) verify(side *site.Side, same func(is string) bool) error {
	is, mute, err := reads(side, want.Key)
	if err != nil || mute || sameValue(is, want.Value) || want.rounded(is) || same(is) {
		return err
	}
	return drift("sysctl "+want.Key, strings.TrimSpace(want.Value), is)
}

// attributes says whether anything of the interface itself is to be changed.
func (t Tuning) attributes() bool {
	return t.MAC != nil || t.Promisc || t.MTU != 0 || t.AllMulti != "" || t.TxQLen != ""
}

func (t Tuning) idle() bool { return !t.attributes() && len(t.Sysctls) == 0 }

// link returns the interface where anything of it is to be changed.
func (t Tuning) link(container *site.Side) (netlink.Link, error) {
	if !t.attributes() {
		return nil, nil
	}
	return need(container, t.IfName)
}

// files are the paths at which the attachment's backup may be.
func (t Tuning) files() []string {
	network, id, ifName, whole := t.Owner.Names()
	if !whole {
		return nil
	}
	var list []string
	for _, dir := range backup.Dirs(network, t.Dir) {
		list = append(list, backup.Path(dir, id, ifName))
	}
	return list
}

// file is the path of today's configuration.
func (t Tuning) file() string {
	_, id, ifName, _ := t.Owner.Names()
	return backup.Path(t.Dir, id, ifName)
}

// kept returns the attachment's backup and where it is; nil where there is none.
func (t Tuning) kept() (f *backup.File, path string, err error) {
	for _, path := range append([]string{t.file()}, t.files()...) {
		f, err := backup.Read(path)
		if err != nil || f != nil && t.owns(f) {
			return f, path, err
		}
	}
	return nil, t.file(), nil
}

// owns says whether a backup may be the attachment's. The reference's do not say whose they are.
func (t Tuning) owns(f *backup.File) bool {
	o, known := f.Owner()
	return !known || o.ID == t.Owner.ID
}

// owned says whether the link's flag was set by somebody who wants it: the kernel may have reasons of its own (tcpdump, a bridge).
func owned(link netlink.Link, flag uint32) bool { return link.Attrs().RawFlags&flag != 0 }

// sameValue compares two values of a setting as the kernel reads them: numbers and addresses by their value, whatever is between them.
func sameValue(a, b string) bool {
	return slices.EqualFunc(strings.Fields(a), strings.Fields(b), func(a, b string) bool {
		if a == b {
			return true
		}
		n, err1 := strconv.ParseInt(a, 0, 64)
		m, err2 := strconv.ParseInt(b, 0, 64)
		if err1 == nil && err2 == nil {
			return n == m
		}
		one, err1 := netip.ParseAddr(a)
		other, err2 := netip.ParseAddr(b)
		return err1 == nil && err2 == nil && one == other
	})
}

// rounded says whether the kernel has a time in its own ticks, of which there are 100 a second at least, that is nearest to the one wanted.
func (want Sysctl) rounded(is string) bool {
	unit := int64(0)
	switch name := filepath.Base(want.Key); {
	case slices.Contains([]string{"locktime", "proxy_delay", "anycast_delay", "retrans_time"}, name): // in hundredths of a second
		unit = 1
	case strings.HasSuffix(name, "_ms"), strings.HasPrefix(name, "mldv"):
		unit = 10
	}
	n, err1 := strconv.ParseInt(is, 0, 64)
	m, err2 := strconv.ParseInt(strings.TrimSpace(want.Value), 0, 64)
	return err1 == nil && err2 == nil && max(n, m)-min(n, m) <= unit
}

// reads returns a setting's value. One that can only be written (net/ipv4/route/flush) has none, and says true; one that nobody has set yet (stable_secret) is empty.
func reads(side *site.Side, key string) (value string, mute bool, err error) {
	value, known, err := side.Sysctl(key)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", true, nil
	case errors.Is(err, unix.EIO):
		return "", false, nil
	case errors.Is(err, unix.EISDIR):
		known, err = false, nil
	}
	if err == nil && !known {
		err = noSetting(side, key)
	}
	return value, false, err
}

func noSetting(side *site.Side, key string) error {
	return fault.New(fault.Unsupported, "leave the key out of sysctl, or see sysctl -a there for what it is called", "/proc/sys/%s of the %s: %w", key, sideName(side), fs.ErrNotExist)
}

// ofNamespace says whether a setting is the whole namespace's, and no interface's.
func ofNamespace(key, ifName string) bool {
	return !slices.Contains(strings.Split(filepath.Dir(key), "/"), ifName)
}
