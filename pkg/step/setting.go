package step

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// set gives a setting of the kernel the value that something promised depends on. Where it has that, /proc/sys need not be writable.
func set(side *site.Side, key, value string) error {
	_, err := side.SetSysctl(key, value)
	if err == nil {
		return nil
	}
	file := fmt.Sprintf("/proc/sys/%s of the %s", key, sideName(side))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Unsupported, "does the kernel have that protocol switched on? see net.ipv6.conf.*.disable_ipv6 and ipv6.disable",
			"%s: must be %s: %w", file, value, err)
	}
	found, _, _ := side.Sysctl(key)
	return fault.New(fault.Unsupported, "make /proc/sys writable for this program (mount -o remount,rw /proc/sys), or set it beforehand: sysctl -w "+inherited(key)+"="+value,
		"%s: must be %s, is %s, and cannot be written: %w", file, value, found, cause(err))
}

// inherited is the key from which a link that is yet to be made has its own.
func inherited(key string) string {
	parts := strings.Split(key, "/")
	if len(parts) == 5 && parts[2] == "conf" && parts[3] != "all" {
		parts[3] = "default"
	}
	return strings.Join(parts, "/")
}

// cause leaves out of an error what the text around it says.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// setIfThere is set where the kernel has the setting, which it has not for a protocol that is off.
func setIfThere(side *site.Side, key, value string) error {
	if err := set(side, key, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// prefer gives a setting a value by which something goes better or sooner, and on which nothing promised depends.
func prefer(s *site.Site, side *site.Side, key, value string) {
	if err := setIfThere(side, key, value); err != nil {
		s.Logf("goes on without: %v", err)
	}
}

func sideName(side *site.Side) string {
	if side.NS < 0 {
		return "host"
	}
	return "container"
}

// refuseRA has a link of the host refuse router advertisements (CVE-2020-10749). With a guard the containers' advertisements are dropped before
// they come there, and a setting that cannot be written is no reason to fail.
func refuseRA(s *site.Site, link string, guarded bool) error {
	err := setIfThere(s.Host, acceptRA(link), "0")
	if err != nil && deaf(s, link) {
		return nil
	}
	if err != nil && guarded {
		s.Logf("link %s: advertisements are kept away by the packet filter alone: %v", link, err)
		return nil
	}
	return err
}

// refusesRA looks whether it does, or need not.
func refusesRA(s *site.Site, link string, guarded bool) error {
	value, known, err := s.Host.Sysctl(acceptRA(link))
	if err != nil || !known || value == "0" || (guarded || deaf(s, link)) && !s.Host.Writable(acceptRA(link)) {
		return err
	}
	return drift(acceptRA(link), 0, value)
}

// deaf says whether the link of the host hears no advertisement, since it forwards and is not told to hear them all the same.
func deaf(s *site.Site, link string) bool {
	accepts, _, err1 := s.Host.Sysctl(acceptRA(link))
	forwards, _, err2 := s.Host.Sysctl("net/ipv6/conf/" + link + "/forwarding")
	return err1 == nil && err2 == nil && accepts == "1" && forwards == "1"
}
