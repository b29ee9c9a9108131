package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// errTLS is that one side does not take the other for what it says it is.
var errTLS = errors.New("TLS")

// patience is for how long one endpoint is asked why it does not answer.
const patience = time.Second

// cause is why the endpoints do not answer, as far as a connection to each can tell; nil where they take them. The client tries for as long as it may, and then says
// that it took too long, whatever the reason was.
func (s *Store) cause(ctx context.Context) error {
	found := make(chan error, len(s.files.Endpoints))
	for _, endpoint := range s.files.Endpoints {
		go func() { found <- s.knock(ctx, endpoint) }()
	}
	var errs []error
	for range s.files.Endpoints {
		errs = append(errs, <-found)
	}
	return errors.Join(errs...)
}

// greeting is the beginning of HTTP/2 (RFC 9113, 3.4), and an empty SETTINGS: whoever takes our certificate answers it.
const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

func (s *Store) knock(ctx context.Context, endpoint string) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil // not for us to read
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until)
	conf, err := identity(s.files)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", endpoint, errTLS, err)
	}
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conf.ServerName, conf.NextProtos = u.Hostname(), []string{"h2"}
	secure := tls.Client(conn, conf)
	err = secure.HandshakeContext(ctx)
	if err == nil {
		_, err = secure.Write([]byte(greeting))
	}
	if err == nil {
		_, err = secure.Read(make([]byte, 1)) // in TLS 1.3 a certificate is refused after the handshake
	}
	var slow net.Error
	if err == nil || errors.As(err, &slow) && slow.Timeout() {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", endpoint, errTLS, err)
}
