// Command peer is a web server for the demo. It tells each client which address it sees it come from.
//
//	peer NAME ADDRESS
//
// It prints a line when it listens, and serves until it is ended or its standard input is closed.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/trestle-cni/trestle/test/peer"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peer NAME ADDRESS")
		os.Exit(2)
	}
	if _, err := peer.Serve(os.Args[1], "tcp", os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	io.Copy(io.Discard, os.Stdin)
}
