package trial

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/slack"
)

// issuer signs certificates and writes them down.
type issuer struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	ca := &issuer{t: t, dir: t.TempDir()}
	ca.cert, ca.key = ca.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return ca
}

func (ca *issuer) file(name string) string { return filepath.Join(ca.dir, name) }

func (ca *issuer) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	if c.NotBefore = time.Now().Add(-2 * time.Hour); c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := ca.cert, ca.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(ca.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			ca.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert, key
}

// An etcd that wants certificates is asked by who has one, and by nobody else; and nobody is asked whose certificate is not of the CA.
func TestCertificates(t *testing.T) {
	ca, other := newIssuer(t), newIssuer(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	ca.issue("etcd", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: both})
	ca.issue("node", &x509.Certificate{ExtKeyUsage: both[1:]})
	ca.issue("web", &x509.Certificate{ExtKeyUsage: both[:1]})
	ca.issue("old", &x509.Certificate{ExtKeyUsage: both[1:], NotAfter: time.Now().Add(-time.Minute)})
	other.issue("node", &x509.Certificate{ExtKeyUsage: both[1:]})

	at := ports(t, 2)
	m := &member{args: []string{
		"etcd", "--data-dir", t.TempDir(), "--listen-client-urls", "https://" + at[0], "--advertise-client-urls", "https://" + at[0],
		"--listen-peer-urls", "http://" + at[1], "--initial-advertise-peer-urls", "http://" + at[1], "--initial-cluster", "default=http://" + at[1],
		"--client-cert-auth", "--trusted-ca-file", ca.file("ca.crt"), "--cert-file", ca.file("etcd.crt"), "--key-file", ca.file("etcd.key"),
	}}
	m.start(t)
	t.Cleanup(m.kill)
	try := func(c etcd.Config) error {
		c.Endpoints, c.Prefix, c.Network = []string{"https://" + at[0]}, "/cni", "pods"
		s, err := etcd.Dial(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return agent.Define(context.Background(), s, small)
	}
	if err := try(etcd.Config{CAFile: ca.file("ca.crt"), CertFile: ca.file("node.crt"), KeyFile: ca.file("node.key"), Timeout: slack.Of(20 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	own := func(c etcd.Config) etcd.Config { c.CAFile = ca.file("ca.crt"); return c }
	for name, c := range map[string]struct {
		conf etcd.Config
		why  string
	}{
		"no certificate":          {own(etcd.Config{}), "tls: "},
		"another CA's":            {own(etcd.Config{CertFile: other.file("node.crt"), KeyFile: other.file("node.key")}), "tls: "},
		"an etcd of another CA's": {etcd.Config{CAFile: other.file("ca.crt"), CertFile: ca.file("node.crt"), KeyFile: ca.file("node.key")}, "certificate signed by unknown authority"},
		"expired":                 {own(etcd.Config{CertFile: ca.file("old.crt"), KeyFile: ca.file("old.key")}), "tls: "},
		"a server's alone":        {own(etcd.Config{CertFile: ca.file("web.crt"), KeyFile: ca.file("web.key")}), "tls: bad certificate"},
	} {
		c.conf.Timeout = 2 * time.Second
		err := try(c.conf)
		t.Logf("%s: %v", name, err)
		if fault.Code(err) != fault.Config || fault.Hint(err) == "" || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: code %d: %v: want %q", name, fault.Code(err), err, c.why)
		}
	}
	renewed(t, ca, m, at[0])
	m.kill()
	err := try(own(etcd.Config{Timeout: time.Second}))
	if fault.Code(err) != fault.TryLater || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody there: %v", err)
	}
}

// renewed holds that who asks already goes on asking when all certificates are others, that of the authority among them, and says so meanwhile where etcd's has expired.
func renewed(t *testing.T, ca *issuer, m *member, at string) {
	t.Helper()
	s, err := etcd.Dial(etcd.Config{Endpoints: []string{"https://" + at}, Prefix: "/cni", Network: "pods", Timeout: slack.Of(2 * time.Second),
		CAFile: ca.file("ca.crt"), CertFile: ca.file("node.crt"), KeyFile: ca.file("node.key")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, stop := context.WithTimeout(context.Background(), slack.Of(time.Minute))
	defer stop()
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	etcds := x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: both}
	expired := etcds
	expired.NotAfter = time.Now().Add(-time.Minute)
	again := func(cert *x509.Certificate) {
		m.kill()
		ca.issue("etcd", cert)
		m.start(t)
	}
	again(&expired)
	for err = agent.Define(ctx, s, small); !strings.Contains(err.Error(), "expired") && ctx.Err() == nil; err = agent.Define(ctx, s, small) {
		wait(ctx, 20*time.Millisecond)
	}
	if fault.Code(err) != fault.Config || fault.Hint(err) == "" {
		t.Errorf("etcd's has expired: code %d: %v", fault.Code(err), err)
	}
	ca.cert, ca.key = nil, nil
	ca.cert, ca.key = ca.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	ca.issue("node", &x509.Certificate{ExtKeyUsage: both[1:]})
	again(&etcds)
	for err = agent.Define(ctx, s, small); err != nil; err = agent.Define(ctx, s, small) {
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("all certificates are others: %v", err)
		}
	}
}
