package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
)

// deskVar names, for whoever is run beside a machine, the socket that takes requests for it.
const deskVar = "TRESTLE_GUEST"

// enter runs a command in the machine, in the folder and with the environment of this process, and returns its exit status.
func enter(args []string) (int, error) {
	if len(args) == 0 || os.Getenv(deskVar) == "" {
		return 1, fmt.Errorf("usage: enter COMMAND, beside a machine (%s)", deskVar)
	}
	dir, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	desk, err := net.Dial("unix", os.Getenv(deskVar))
	if err != nil {
		return 1, err
	}
	defer desk.Close()
	if err := json.NewEncoder(desk).Encode(request{Dir: dir, Env: os.Environ(), Args: args}); err != nil {
		return 1, err
	}
	for replies := json.NewDecoder(desk); ; {
		var r reply
		if err := replies.Decode(&r); err != nil {
			return 1, fmt.Errorf("the machine is gone: %w", err)
		}
		os.Stdout.Write(r.Out)
		switch {
		case r.Failed != "":
			return 1, fmt.Errorf("%s: %s", args[0], r.Failed)
		case r.Ended:
			return r.Status, nil
		}
	}
}
