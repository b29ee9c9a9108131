package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// identity is the TLS of a client with a certificate; nil where no file is named.
func identity(c Config) (*tls.Config, error) {
	if c.CAFile == "" && c.CertFile == "" && c.KeyFile == "" {
		return nil, nil
	}
	bad := func(key string, err error) error {
		return fault.New(fault.Config, "name files that can be read: caFile, and certFile with its keyFile", "%s: %w", key, err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, bad("caFile", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, bad("caFile", fmt.Errorf("%s: has no certificate", c.CAFile))
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, bad("certFile", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// renewed reads the files again for each connection: certificates are renewed, and so are those who sign them, while the agent runs.
type renewed struct {
	credentials.TransportCredentials
	files Config
}

// ClientHandshake is that of the identity of this moment.
func (r renewed) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	now, err := identity(r.files)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(now).ClientHandshake(ctx, authority, conn)
}

// Clone is itself: nothing of it changes.
func (r renewed) Clone() credentials.TransportCredentials { return r }
