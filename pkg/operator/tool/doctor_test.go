package tool

import (
	"io"
	"strings"
	"testing"
)

// A directory that is named and not there is no host without networks.
func TestDoctorWithoutItsDirectory(t *testing.T) {
	c := Command(nil)
	c.SetArgs([]string{"doctor", "--conf-dir", "/nowhere/net.d"})
	c.SetOut(io.Discard)
	if err := c.Execute(); err == nil || !strings.Contains(err.Error(), "--conf-dir: stat /nowhere/net.d") {
		t.Errorf("error %v, want the directory named", err)
	}
}
