// Package tig is what nerdctl's command needs of its test harness: the name of an interface.
package tig

// T is a test.
type T interface {
	Helper()
	FailNow()
	Fail()
	Log(args ...any)
	Name() string
	TempDir() string
}
