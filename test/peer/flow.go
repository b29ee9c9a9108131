package peer

import (
	"fmt"
	"net"
	"time"
)

// Flows begins so many flows to a server of Serve at the address, one after the other, from the calling thread's network namespace, and
// returns what each that succeeded took: where the network is tcp until it is connected, where it is udp from the first datagram of a new socket to
// the answer. The first that fails ends it, by an error or after the patience.
func Flows(network, to string, count int, patience time.Duration) ([]time.Duration, error) {
	times := make([]time.Duration, 0, count)
	for range count {
		began := time.Now()
		conn, err := net.DialTimeout(network, to, patience)
		if err != nil {
			return times, err
		}
		if network == "udp" {
			_ = conn.SetDeadline(began.Add(patience))
			_, err = askDatagram(conn)
		}
		took := time.Since(began)
		conn.Close()
		if err != nil {
			return times, fmt.Errorf("%s %s: %w", network, to, err)
		}
		times = append(times, took)
	}
	return times, nil
}
