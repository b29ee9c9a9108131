package built

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Flags are those of `make build`, less the version, for whoever measures what is shipped.
func Flags() (flags []string, err error) {
	top, err := product()
	if err != nil {
		return nil, err
	}
	link := "-s -w"
	if runtime.GOARCH == "amd64" {
		link += " -funcalign=16"
	}
	flags = []string{"-trimpath", "-ldflags", link}
	text, err := os.ReadFile(filepath.Join(top, "cmd/uninlined"))
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			flags = append(flags, "-gcflags", strings.TrimSpace(line)+"=-l")
		}
	}
	return flags, err
}
