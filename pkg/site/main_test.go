package site

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// holdVar names, in a child process, the directory in which it shall hold a lock until it is killed.
const holdVar = "SITE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVar); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

// hold takes the owner's and the ground's lock, says so, and sleeps until it dies.
func hold(dir string) {
	s, err := Open(Options{Run: dir})
	if err == nil {
		_, err = s.LockOwner(context.Background(), held)
	}
	if err == nil {
		_, err = s.LockGround(context.Background(), "br0", false)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1)) // nobody ever writes there
	os.Exit(0)
}

var held = owner.Of("net", "one", "eth0")

func openIn(t *testing.T, o Options) *Site {
	t.Helper()
	s, err := Open(o)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

var must = nstest.Must
