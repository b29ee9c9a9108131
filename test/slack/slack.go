// Package slack says how long a test waits for what must come, and how many it sends at once, on the machine as it is: one that has much else to do
// is no reason to fail. How long is waited to see that nothing comes is another matter, and a matter of each test.
package slack

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/test/space"
)

// Of is how long to wait for what takes at the most so long on a machine at rest.
func Of(rest time.Duration) time.Duration { return time.Duration(float64(rest) * slowness()) }

// Crowd is how many act at the same time where so many do on a machine at rest. Each has the time of one call, however many share the processors.
// A program hears one number, since a test that asks twice counts on it.
func Crowd(rest int) int { return max(min(rest, 4), int(2*float64(rest)/first())) }

var first = sync.OnceValue(slowness)

// slowness is how many times longer things may take than at rest: by as many as want each processor, now or in the last minute, and twice in any case,
// since others may come while one waits.
func slowness() float64 {
	var minute, five, quarter float64
	var running, all int
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%f %f %f %d/%d", &minute, &five, &quarter, &running, &all)
	}
	if err != nil || os.Getenv(space.Slow) != "" {
		return 20
	}
	return 2 + max(minute, float64(running))/float64(runtime.NumCPU())
}
