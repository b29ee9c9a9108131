// Package folder is where leases are written down, a file an attachment. It stands alone, so that who makes interfaces can ask whether there is a lease
// without all that it takes to get one.
package folder

import (
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Socket is where a daemon is, if nothing else is said.
const Socket = "/run/cni/dhcp.sock"

// Of is the folder of the daemon at a socket.
func Of(socket string) string { return strings.TrimSuffix(socket, ".sock") + ".leases" }

// File is the attachment's.
func File(dir, containerID, network, ifName string) string {
	sum := fnv.New128a()
	_, _ = sum.Write([]byte(Whose(containerID, network, ifName))) // never fails
	return filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))+".json")
}

// Whose names the attachment.
func Whose(containerID, network, ifName string) string {
	return containerID + "/" + network + "/" + ifName
}

// Has says whether a lease of the attachment is written down where nothing else was said.
func Has(containerID, network, ifName string) bool {
	_, err := os.Lstat(File(Of(Socket), containerID, network, ifName))
	return err == nil
}

// HasOf says whether one of the network is. What cannot be read may be.
func HasOf(network string) bool {
	files, _ := filepath.Glob(filepath.Join(Of(Socket), "*.json")) // the pattern is none of a user's
	return slices.ContainsFunc(files, func(file string) bool {
		var lease struct{ Network string }
		text, err := plainfile.Read(file)
		if plainfile.Absent(err) { // it was given back just now
			return false
		}
		return err != nil || json.Unmarshal(text, &lease) != nil || lease.Network == network
	})
}
