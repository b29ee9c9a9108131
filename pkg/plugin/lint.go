package plugin

import (
	"fmt"
	"io"
	"strings"

	"github.com/trestle-cni/trestle/pkg/keys"
)

// Lint reads a configuration as the named plugin of the bundle would on an ADD, and touches nothing. The keys tell what is wrong (Complaints) and
// what the plugin looked for (Asked). The error is one that has no place in the configuration.
func (b Bundle) Lint(name string, config []byte) (*keys.Object, error) {
	p, held := b[name]
	if !held || p.Parse == nil {
		return nil, fmt.Errorf("%s: not a plugin of this binary", name)
	}
	if p.Versions == nil {
		p.Versions = Versions()
	}
	env := map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "lint", "CNI_NETNS": "/lint", "CNI_IFNAME": "eth0", "CNI_PATH": Self}
	req, err := newRequest(p, env, Streams{In: strings.NewReader(string(config)), Out: io.Discard, Err: io.Discard})
	if err != nil {
		return nil, err
	}
	req.bundle = b
	req.Keys.Note()
	err = p.Parse(req)
	if len(req.Keys.Complaints()) > 0 {
		err = nil // it says the same
	}
	return req.Keys, err
}
