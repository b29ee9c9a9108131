// Package conflist reads network configurations as runtimes do (libcni), and tells every complaint with file, line and column.
package conflist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Kind is the kind of a JSON value.
type Kind string

// The kinds.
const (
	Object Kind = "object"
	Array  Kind = "array"
	String Kind = "string"
	Number Kind = "number"
	Bool   Kind = "boolean"
	Null   Kind = "null"
)

// Node is a JSON value, and where it stands in its file.
type Node struct {
	Kind         Kind
	Line, Column int // of its first byte, from 1 on; a column counts bytes
	Text         string
	Items        []*Node  // of an array
	Members      []Member // of an object, in their order

	read  bool  // whether named is known
	named *Node // of a file's name: what is in it
}

// Member is a key with its value.
type Member struct {
	Key          string
	Line, Column int // of the key
	Value        *Node
}

// Get returns the value of a key, nil if there is none: without regard to case, the last of equal ones, as encoding/json has it.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	var found *Node
	for _, m := range n.Members {
		if strings.EqualFold(m.Key, key) {
			found = m.Value
		}
	}
	return found
}

// Named is what is in the file that the string names, read once however often it is asked for; nil where it cannot be read, or is not JSON.
func (n *Node) Named() *Node {
	if !n.read {
		n.read = true
		if data, err := plainfile.Read(n.Text); err == nil {
			if root, bad := parse(data); bad == nil {
				n.named = root
			}
		}
	}
	return n.named
}

// At returns the value at a path as package keys writes it (ipam.ranges[0][0].subnet), or the deepest that is there.
func (n *Node) At(path string) *Node {
	path = strings.NewReplacer("[", ".[", "]", "").Replace(path)
	for _, step := range strings.Split(path, ".") {
		next := n.Get(step)
		if index, ok := strings.CutPrefix(step, "["); ok {
			if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(n.Items) {
				next = n.Items[i]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// reader walks through a document by tokens.
type reader struct {
	data    []byte
	decoder *json.Decoder
}

// syntax is an error and where it is.
type syntax struct {
	offset int
	cause  error
}

func (e *syntax) Error() string { return e.cause.Error() }

// deepest is how far values may be nested; encoding/json allows 10,000, no configuration needs more than ten.
const deepest = 100

// parse reads one JSON value, which must be all that is in the document.
func parse(data []byte) (*Node, *syntax) {
	r := &reader{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	n, err := r.value(0)
	if err == nil {
		at := r.next()
		if _, more := r.decoder.Token(); !errors.Is(more, io.EOF) {
			err = &syntax{at, errors.New("something follows the end of the configuration")}
		}
	}
	return n, err
}

// next is where the next token begins.
func (r *reader) next() int {
	at := int(r.decoder.InputOffset())
	for at < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *reader) token() (json.Token, int, *syntax) {
	at := r.next()
	token, err := r.decoder.Token()
	if err == nil {
		return token, at, nil
	}
	var bad *json.SyntaxError
	switch {
	case errors.As(err, &bad):
		return nil, 0, &syntax{max(int(bad.Offset)-1, at), err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, &syntax{len(r.data), errors.New("it ends in the middle")}
	}
	return nil, 0, &syntax{at, err}
}

func (r *reader) value(depth int) (*Node, *syntax) {
	token, at, err := r.token()
	if err != nil {
		return nil, err
	}
	if depth > deepest {
		return nil, &syntax{at, fmt.Errorf("values nested more than %d deep", deepest)}
	}
	n := &Node{}
	n.Line, n.Column = position(r.data, at)
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return n, r.object(n, depth)
		}
		return n, r.array(n, depth)
	case string:
		n.Kind, n.Text = String, t
	case json.Number:
		n.Kind, n.Text = Number, t.String()
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(t)
	default:
		n.Kind = Null
	}
	return n, nil
}

func (r *reader) object(n *Node, depth int) *syntax {
	n.Kind = Object
	for r.decoder.More() {
		key, at, err := r.token()
		if err != nil {
			return err
		}
		m := Member{Key: fmt.Sprint(key)}
		m.Line, m.Column = position(r.data, at)
		if m.Value, err = r.value(depth + 1); err != nil {
			return err
		}
		n.Members = append(n.Members, m)
	}
	_, _, err := r.token()
	return err
}

func (r *reader) array(n *Node, depth int) *syntax {
	n.Kind = Array
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, _, err := r.token()
	return err
}

// position is line and column of an offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:min(offset, len(data))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
