package main

// A request is one program to be run in the guest; its reply comes in parts. Both are lines of JSON on a serial line.
type (
	request struct {
		Dir  string
		Env  []string
		Args []string
	}
	reply struct {
		Out    []byte `json:",omitempty"` // a part of what the program prints
		Ended  bool   `json:",omitempty"`
		Status int    `json:",omitempty"`
		Failed string `json:",omitempty"` // why it could not be run
	}
)

// wire is the serial line in the guest.
const wire = "/dev/ttyS1"
