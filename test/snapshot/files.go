package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Keys of /proc/sys/net that a plugin of the suite writes: once for the namespace, and for "all", "default" and every interface.
var (
	namespaceKeys = [...]string{"ipv4/ip_forward", "ipv4/tcp_keepalive_time"}
	ipv4Keys      = [...]string{"arp_filter", "arp_ignore", "arp_announce", "arp_notify", "forwarding", "proxy_arp", "route_localnet", "rp_filter"}
	ipv6Keys      = [...]string{"accept_dad", "accept_ra", "autoconf", "disable_ipv6", "enhanced_dad", "forwarding", "keep_addr_on_down", "ndisc_notify"}
)

func sysctls(names map[int]string) (lines []string, err error) {
	keys := namespaceKeys[:]
	for _, link := range names {
		keys = append(keys, linkKeys(link)...)
	}
	for _, link := range []string{"all", "default"} {
		keys = append(keys, linkKeys(link)...)
	}
	for _, key := range keys {
		value, err := os.ReadFile("/proc/sys/net/" + key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a family that is off, or a link that has gone since
		}
		if err != nil {
			return nil, fmt.Errorf("sysctl: %w", err)
		}
		lines = append(lines, "sysctl "+key+" "+strings.TrimSpace(string(value)))
	}
	return lines, nil
}

func linkKeys(link string) (keys []string) {
	for _, key := range ipv4Keys {
		keys = append(keys, "ipv4/conf/"+link+"/"+key)
	}
	for _, key := range ipv6Keys {
		keys = append(keys, "ipv6/conf/"+link+"/"+key)
	}
	return keys
}

// backups returns a line for each file below the roots that tuning has put there, or a part of one.
func backups(roots ...string) (lines []string, err error) {
	for _, root := range roots {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("backups: %w", err)
		}
		for _, entry := range entries {
			lines = append(lines, fmt.Sprintf("%s backup %s\n", Host, filepath.Join(root, entry.Name())))
		}
	}
	return lines, nil
}

// reservations returns a line for each file below the roots whose name is an address: what an IPAM plugin has handed out. Locks,
// last_reserved_ip and indexes are no state.
func reservations(roots ...string) (lines []string, err error) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
				return nil // not ours to read, or gone since the directory was listed
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			if _, err := netip.ParseAddr(entry.Name()); err != nil {
				return nil
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			lines = append(lines, fmt.Sprintf("%s reservation %s %q\n", Host, path, content))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reservations: %w", err)
		}
	}
	return lines, nil
}
