// Package peer is the other end of a test's traffic: servers that tell each client which address they see it come from, and a client.
package peer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Serve answers everybody who asks at the address, in the calling thread's network namespace, with `<name> sees <client's IP>` and a
// newline: by HTTP where the network is tcp, by a datagram where it is udp, by an INIT ACK where it is sctp. It listens when Serve returns, and ends with Close.
func Serve(name, network, address string) (io.Closer, error) {
	if strings.HasPrefix(network, "udp") {
		return serveDatagrams(name, network, address)
	}
	if strings.HasPrefix(network, "sctp") {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		return serveAssociations(name, at)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer(name, r.RemoteAddr))
		}),
	}
	go server.Serve(listener)
	return server, nil
}

func serveDatagrams(name, network, address string) (io.Closer, error) {
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	go func() {
		buffer := make([]byte, 1500)
		for {
			_, client, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			conn.WriteTo([]byte(answer(name, client.String())), client)
		}
	}()
	return conn, nil
}

func answer(name, client string) string {
	host, _, err := net.SplitHostPort(client)
	if err != nil {
		host = client
	}
	return name + " sees " + strings.TrimPrefix(host, "::ffff:") + "\n"
}

// Ask asks the server at the address, an IP address and port, from the calling thread's network namespace, and returns its answer.
// It gives up after the patience.
func Ask(network, address string, patience time.Duration) (string, error) {
	if strings.HasPrefix(network, "sctp") {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return "", err
		}
		return askAssociation(to, patience)
	}
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if strings.HasPrefix(network, "udp") {
		return askDatagram(conn)
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", address); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func askDatagram(conn net.Conn) (string, error) {
	if _, err := conn.Write([]byte("who am I?")); err != nil {
		return "", err
	}
	buffer := make([]byte, 1500)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}
