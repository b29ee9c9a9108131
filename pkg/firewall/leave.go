package firewall

import (
	"context"
	"fmt"
)

// Left says of what is gone whether it is left so, because somebody deletes it again and again and means it: a table, a chain, a set, a rule or an element, by its
// name (Titled). The nil Left leaves nothing.
type Left func(what string) bool

// Has says whether that is left.
func (l Left) Has(what string) bool { return l != nil && l(what) }

// A Leaver is a filter that can leave things as they are.
type Leaver interface{ Leave(Left) }

type leftKey struct{}

// Leaving is a context for repairs that leave something as it is.
func Leaving(ctx context.Context, left Left) context.Context {
	return context.WithValue(ctx, leftKey{}, left)
}

// LeftIn is what a repair leaves as it is.
func LeftIn(ctx context.Context) Left {
	left, _ := ctx.Value(leftKey{}).(Left)
	return left
}

// Titled is a table's name as nft(8) has it, family and name. By it all that is in the table is named, alike of what the kernel told and of what is known.
type Titled string

// Whole names the table.
func (n Titled) Whole() string { return "table " + string(n) }

// Set names one of its sets.
func (n Titled) Set(set string) string { return fmt.Sprintf("set %s of table %s", set, n) }

// Chain names one of its chains.
func (n Titled) Chain(chain string) string { return fmt.Sprintf("chain %s of table %s", chain, n) }

// Element names an element by its key.
func (n Titled) Element(set, key string) string {
	return fmt.Sprintf("element %s of set %s of table %s", key, set, n)
}

// Rule names a rule by words of whoever made it (Quoted), or by a number that only such a rule has; by none, any.
func (n Titled) Rule(words, chain string) string {
	return fmt.Sprintf("rule %sof chain %s of table %s", words, chain, n)
}

// Quoted are the words of a rule that has some of its own.
func Quoted(text string) string { return fmt.Sprintf("%q ", text) }
