package ruleset

import "fmt"

// mostSteps is how far a packet is followed: rules asked, and elements looked at by tens, for one judgment.
const mostSteps = 200_000

// step takes one step of a judgment, and says whether it was still to be had.
func (w *walk) step(cost int) bool {
	*w.left -= cost
	if *w.left < 0 {
		w.reason = fmt.Sprintf("a packet would ask more than %d rules", mostSteps)
		return false
	}
	return true
}
