// Command app is all that is in the containers of test/runtimes: the pause container, which sleeps, and a server.
//
//	app pause           sleeps until it is told to end
//	app serve NAME      answers on port 8080, by HTTP and by datagram, who it is and whom it sees
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/trestle-cni/trestle/test/peer"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} { // plain tcp means tcp4 to a program that starts with no ::1
			if _, err := peer.Serve(os.Args[2], network, ":8080"); err != nil {
				fmt.Fprintln(os.Stderr, "app:", err)
				os.Exit(1)
			}
		}
	}
	<-stop
}
