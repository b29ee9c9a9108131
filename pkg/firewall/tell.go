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

type thoroughKey struct{}

// Thorough is a context for who asks a filter about many owners, one after the other, of one ruleset: what takes long, and is true of all, is worth being found out.
func Thorough(ctx context.Context) context.Context {
	return context.WithValue(ctx, thoroughKey{}, true)
}

// IsThorough says whether it is one.
func IsThorough(ctx context.Context) bool { return ctx.Value(thoroughKey{}) != nil }
