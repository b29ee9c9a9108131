package hostlocal

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// readResolvConf reads the file's name servers and search domains for the result; no path, no DNS.
func readResolvConf(path string) (types.DNS, error) {
	if path == "" {
		return types.DNS{}, nil
	}
	text, err := plainfile.Read(path)
	if err != nil {
		return types.DNS{}, fault.New(fault.Config, "name a readable file, or leave the key out", "ipam.resolvConf: %w", err)
	}
	dns, err := parseResolvConf(bytes.NewReader(text))
	if err != nil {
		return types.DNS{}, fault.New(fault.Config, "name a file in the format of resolv.conf(5)", "ipam.resolvConf: %s: %w", path, err)
	}
	return dns, nil
}

// parseResolvConf reads the format of resolv.conf(5) as the reference does: the last domain counts, search and options add up over
// several lines, and a comment has a line of its own. A line of 64 KiB or more is an error.
func parseResolvConf(in io.Reader) (types.DNS, error) {
	var dns types.DNS
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		fields := strings.Fields(line)
		if len(fields) < 2 || line[0] == '#' || line[0] == ';' {
			continue
		}
		switch fields[0] {
		case "nameserver":
			dns.Nameservers = append(dns.Nameservers, fields[1])
		case "domain":
			dns.Domain = fields[1]
		case "search":
			dns.Search = append(dns.Search, fields[1:]...)
		case "options":
			dns.Options = append(dns.Options, fields[1:]...)
		}
	}
	return dns, lines.Err()
}
