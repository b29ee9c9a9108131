package main

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// in runs f in the network namespace, "" for the host's.
func in(namespace string, f func() error) error {
	if namespace == "" {
		return f()
	}
	return nstest.In(namespace, f)
}

// makeNamespace binds a new network namespace to the path.
func makeNamespace(path string) error {
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	return <-done
}
