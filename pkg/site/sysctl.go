package site

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Sysctl returns the value of a key below /proc/sys/net, written with slashes (net/ipv4/ip_forward), so that interface names with dots are safe.
// It says false when the kernel has no such key: a protocol family that is off, an interface that is gone.
func (s *Side) Sysctl(key string) (value string, known bool, err error) {
	if value, known, err = s.asked(key); known || err != nil {
		return value, known, err
	}
	err = s.settings(key, func(dir int, key string) error {
		value, err = setting(dir, key)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

// SetSysctl writes the value unless it is there already, and says whether it wrote.
func (s *Side) SetSysctl(key, value string) (changed bool, err error) {
	was, known, err := s.asked(key)
	if err != nil || known && was == value {
		return false, err
	}
	if link, number, ok := ofLink(key); ok && known {
		n, err := strconv.ParseUint(value, 10, 31)
		if err == nil {
			err = s.Conn.Send(rtnl.SetIPv4Conf(link, number, uint32(n)))
		}
		return err == nil, err
	}
	err = s.settings(key, func(dir int, key string) error {
		was, err := setting(dir, key)
		if err != nil || was == value {
			return err
		}
		changed = true
		return procfile.WriteIn(dir, key, value)
	})
	return changed && err == nil, err
}

// WriteSysctl writes the value, whatever is there.
func (s *Side) WriteSysctl(key, value string) error {
	return s.settings(key, func(dir int, key string) error { return procfile.WriteIn(dir, key, value) })
}

// asked returns what rtnetlink says of a key, which spares the way to it in /proc/sys (see settings), and false where it does not say.
func (s *Side) asked(key string) (value string, known bool, err error) {
	switch key {
	case "net/ipv4/ip_forward":
		return truth(s.Conn.Forwards(unix.AF_INET))
	case "net/ipv6/conf/all/forwarding":
		return truth(s.Conn.Forwards(unix.AF_INET6))
	}
	link, number, ok := ofLink(key)
	if !ok {
		return "", false, nil
	}
	conf, err := s.Conn.IPv4Conf(link)
	if err != nil {
		return "", false, nil // what there is to say of it, /proc/sys says in the words of a key
	}
	n, known := conf.Get(number)
	return strconv.Itoa(n), known, nil
}

func truth(is bool, err error) (value string, known bool, _ error) {
	if is {
		return "1", err == nil, nil
	}
	return "0", err == nil, nil
}

// ofLink takes a key apart that is one link's setting of IPv4 and has a number in rtnetlink.
func ofLink(key string) (link string, number int, ok bool) {
	rest, ok := strings.CutPrefix(key, "net/ipv4/conf/")
	if !ok {
		return "", 0, false
	}
	link, name, _ := strings.Cut(rest, "/")
	switch name {
	case "arp_notify":
		return link, rtnl.ARPNotify, true
	case "route_localnet":
		return link, rtnl.RouteLocalnet, true
	}
	return "", 0, false
}

// settings runs f in the namespace with the directory that the key is in, net/ipv4 or net/ipv6, and the rest of the key. Both sides' directories are of
// one /proc/sys of the site's own (procfile.Settings), and each is opened once.
func (s *Side) settings(key string, f func(dir int, key string) error) error {
	return s.Do(func() error {
		end := len("net/") + strings.IndexByte(strings.TrimPrefix(key, "net/"), '/')
		dir, err := s.sys.directory(s.NS, key[:end])
		if err != nil {
			return err
		}
		return wholePath("/proc/sys/"+key[:end], f(dir, key[end+1:]))
	})
}

// sysctls is a /proc/sys, opened at first use, and the directories of each namespace that were opened in it.
type sysctls struct {
	root int
	open map[directory]int
}

type directory struct {
	ns   int
	name string
}

// directory returns the one of that name as the thread's namespace, whose descriptor is given to tell it from the other, has it.
func (s *sysctls) directory(ns int, name string) (int, error) {
	if dir, opened := s.open[directory{ns, name}]; opened {
		return dir, nil
	}
	var err error
	if s.open == nil {
		if s.root, err = procfile.Settings(); err != nil {
			return -1, &fs.PathError{Op: "open", Path: "/proc/sys", Err: err}
		}
		s.open = make(map[directory]int)
	}
	dir, err := unix.Openat(s.root, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: "/proc/sys/" + name, Err: err}
	}
	s.open[directory{ns, name}] = dir
	return dir, nil
}

func (s *sysctls) close() {
	if s.open == nil {
		return
	}
	for _, dir := range s.open {
		unix.Close(dir)
	}
	unix.Close(s.root)
}

// wholePath gives an error the path from the root in the place of that below the directory.
func wholePath(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return &fs.PathError{Op: path.Op, Path: dir + "/" + path.Path, Err: path.Err}
	}
	return err
}

// Writable says whether a key can be written where this program runs: /proc/sys may be mounted for reading alone.
func (s *Side) Writable(key string) bool {
	return s.settings(key, func(dir int, key string) error { return unix.Faccessat(dir, key, unix.W_OK, 0) }) == nil
}

func setting(dir int, key string) (string, error) {
	text, err := procfile.ReadIn(dir, key)
	return strings.TrimSpace(string(text)), err
}
