package kube

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// nodes is where client-go's reflector puts what it hears. Whoever asked is told when something has changed that we keep: a node's heartbeat tells nobody.
type nodes struct {
	mutex   sync.Mutex
	all     map[string]Node
	whole   bool // all have been heard of at least once
	changed func()
}

// Add takes a Node that is new.
func (n *nodes) Add(item any) error { return n.Update(item) }

// Update takes a Node as it is now.
func (n *nodes) Update(item any) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	next := item.(*object).node()
	if was, ok := n.all[next.Name]; !ok || !was.equal(next) {
		n.all[next.Name] = next
		n.changed()
	}
	return nil
}

// Delete takes a Node away.
func (n *nodes) Delete(item any) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	delete(n.all, item.(*object).Metadata.Name)
	n.changed()
	return nil
}

// Replace takes all Nodes that there are.
func (n *nodes) Replace(items []any, _ string) error {
	all := make(map[string]Node, len(items))
	for _, item := range items {
		next := item.(*object).node()
		all[next.Name] = next
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if !n.whole || !maps.EqualFunc(n.all, all, Node.equal) {
		n.all, n.whole = all, true
		n.changed()
	}
	return nil
}

// Resync is never asked for.
func (n *nodes) Resync() error { return nil }

// list is in the order of names; false while not all have been heard of.
func (n *nodes) list() ([]Node, bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return slices.SortedFunc(maps.Values(n.all), func(a, b Node) int { return strings.Compare(a.Name, b.Name) }), n.whole
}
