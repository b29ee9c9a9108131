// Package fault is the error that an operator sees: what went wrong with what, the CNI code of its class, and what to do next.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Codes of the CNI specification 1.1.0, section "Error", and ours from 100 on. They are an interface: see docs/errors.md.
const (
	Version     uint = 1  // the protocol version of the configuration is not supported
	Environment uint = 4  // an environment variable is missing or malformed
	IO          uint = 5  // standard input or output, or a file of ours, failed
	Decoding    uint = 6  // the configuration is not JSON, or prevResult is not a result
	Config      uint = 7  // the configuration is wrong
	Namespace   uint = 8  // CNI_NETNS is not a network namespace that a container may have
	TryLater    uint = 11 // a lock or a resource was not to be had in time; the same call may go through later
	NoService   uint = 50 // STATUS: an ADD cannot succeed now

	Taken       uint = 100 // something that is wanted is held by somebody else: a name, an address, a port
	Exhausted   uint = 101 // no address is left in a range set
	Drift       uint = 102 // CHECK: what is there is not what was made
	Unsupported uint = 103 // this kernel or this build cannot do what the configuration asks for
	Delegate    uint = 104 // a delegated plugin could not be found, run or understood
	Interrupted uint = 105 // the runtime ended the call; what had been made was undone
	Internal    uint = 999 // everything else, as in the reference
)

// Error is one fault. Its text is `subject: cause`, lower case.
type Error struct {
	Code uint
	Hint string // what to do next; may be empty
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New makes a fault; format and args are fmt.Errorf's.
func New(code uint, hint, format string, args ...any) error {
	return &Error{Code: code, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// Code returns the code of the first fault in err's tree, Internal if it holds none, and 0 for nil.
func Code(err error) uint {
	if err == nil {
		return 0
	}
	var f *Error
	if errors.As(err, &f) {
		return f.Code
	}
	return Internal
}

// Hint returns the remedy of the first fault in err's tree that has one, be it beside the first fault or below it.
func Hint(err error) string {
	if f, ok := err.(*Error); ok && f.Hint != "" {
		return f.Hint
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return Hint(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, branch := range wrapper.Unwrap() {
			if hint := Hint(branch); hint != "" {
				return hint
			}
		}
	}
	return ""
}

// Join is errors.Join with a text of one line. What two of them say in the same words is said once: a missing plugin is missing for the ADD and
// for what undoes it.
func Join(errs ...error) error {
	var list joined
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(list, func(e error) bool { return e.Error() == err.Error() }) {
			list = append(list, err)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// Split takes apart what Join has put together: what has the code, and all that has not.
func Split(err error, code uint) (of, others error) {
	list, several := err.(joined)
	switch {
	case several:
		var ofs, rest []error
		for _, e := range list {
			a, b := Split(e, code)
			ofs, rest = append(ofs, a), append(rest, b)
		}
		return Join(ofs...), Join(rest...)
	case err == nil:
		return nil, nil
	case Code(err) == code:
		return err, nil
	}
	return nil, err
}

type joined []error

func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, err := range j {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (j joined) Unwrap() []error { return j }
