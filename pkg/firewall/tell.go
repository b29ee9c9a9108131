package firewall

import "context"

type tellKey struct{}

// Telling is a context for a Hold that has something to tell the operator beside what it returns: what of the claim has no effect, and why.
func Telling(ctx context.Context, logf func(string, ...any)) context.Context {
	return context.WithValue(ctx, tellKey{}, logf)
}

// Tell tells each line to whoever wants to know.
func Tell(ctx context.Context, lines []string) {
	if logf, wanted := ctx.Value(tellKey{}).(func(string, ...any)); wanted {
		for _, line := range lines {
			logf("%s", line)
		}
	}
}
