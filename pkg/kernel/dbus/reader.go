package dbus

import (
	"encoding/binary"
	"errors"
)

// reader reads a part of a message.
type reader struct {
	order binary.ByteOrder
	data  []byte
	at    int
	err   error
}

// take returns the next n bytes, after those that align them; zeros where there are none.
func (r *reader) take(n, align int) []byte {
	r.at = (r.at + align - 1) / align * align
	if r.err != nil || n < 0 || r.at+n > len(r.data) {
		r.err = errors.New("a message that is torn")
		return make([]byte, max(0, min(n, 4)))
	}
	r.at += n
	return r.data[r.at-n : r.at]
}

func (r *reader) number() uint32 { return r.order.Uint32(r.take(4, 4)) }

func (r *reader) text() string {
	text := string(r.take(int(r.number()), 1))
	r.take(1, 1)
	return text
}

func (r *reader) signature() string {
	text := string(r.take(int(r.take(1, 1)[0]), 1))
	r.take(1, 1)
	return text
}

// header reads the fields: to which call it answers, the name of an error, and what is in the body.
func (r *reader) header() (reply uint32, name, signature string) {
	for r.at < len(r.data) && r.err == nil {
		code := r.take(1, 8)[0]
		switch kind := r.signature(); kind {
		case "u":
			if n := r.number(); code == fieldReply {
				reply = n
			}
		case "s", "o":
			if text := r.text(); code == fieldError {
				name = text
			}
		case "g":
			if text := r.signature(); code == fieldSignature {
				signature = text
			}
		default:
			r.err = errors.New("a field of an unknown type")
		}
	}
	return reply, name, signature
}

// value reads the first value of a body, if it is of one of the types that are read.
func (r *reader) value(signature string) any {
	if signature == "" {
		return nil
	}
	switch signature[0] {
	case 's', 'o':
		return r.text()
	case 'u', 'i':
		return r.number()
	case 'b':
		return r.number() != 0
	}
	return nil
}
