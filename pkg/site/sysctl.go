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

// settings runs f in the namespace with the directory that the key is in, net/ipv4 or net/ipv6, and the rest of the key. To find that directory
// costs the kernel a look at the one of every other namespace, half a millisecond at a thousand containers, since all have one name in
// one place (proc_sys_compare in fs/proc/proc_sysctl.c); what is in it costs nothing of the kind. So each is opened once.
func (s *Side) settings(key string, f func(dir int, key string) error) error {
	return s.Do(func() error {
		end := len("net/") + strings.IndexByte(strings.TrimPrefix(key, "net/"), '/')
		name, rest := "/proc/sys/"+key[:end], key[end+1:]
		dir, opened := s.sys[name]
		if !opened {
			var err error
			if dir, err = unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return &fs.PathError{Op: "open", Path: name, Err: err}
			}
			s.sys[name] = dir
		}
		return wholePath(name, f(dir, rest))
	})
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
