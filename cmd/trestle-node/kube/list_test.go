package kube

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

const page = `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"n2"},"more":[{"a":[1,"]"]}],"items":[
	{"metadata":{"name":"n1","labels":{"items":"x"}},"spec":{"podCIDRs":["10.0.1.0/24"]}},{"metadata":{"name":"n2"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.2"}]}}]}`

// Whatever order its members have, a page is read whole or not at all.
func TestReadList(t *testing.T) {
	for text, want := range map[string]string{
		page: "7 n2 [n1 n2]",
		`{"items":[{"metadata":{"name":"n1"}}],"metadata":{"resourceVersion":"7"},"apiVersion":"v1","kind":"NodeList"}`: "7  [n1]",
		`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":null}`:                         "7  []",
		`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}`:                           "7  []",
		`{}`:              `list of nodes: the answer is a "" of "" at ""`,
		`{"status":"ok"}`: `list of nodes: the answer is a "" of "" at ""`,
		`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":500}`:     `list of nodes: the answer is a "Status" of "v1" at ""`,
		`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}`:  `list of nodes: the answer is a "PodList" of "v1" at "7"`,
		`{"kind":"NodeList","apiVersion":"v2","metadata":{"resourceVersion":"7"},"items":[]}`: `list of nodes: the answer is a "NodeList" of "v2" at "7"`,
		`{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]}`:                      `list of nodes: the answer is a "NodeList" of "v1" at ""`,
		`{"kind":"NodeList","apiVersion":"v1","items":[null]}`:                                "list of nodes: one has no name",
		`null`:                   `list of nodes: the answer is a "" of "" at ""`,
		``:                       "list of nodes: unexpected EOF",
		`{"items":{}}`:           "list of nodes: expected [, found {",
		`[]`:                     "list of nodes: expected {, found [",
		`<html>`:                 "list of nodes: invalid character '<' looking for beginning of value",
		`{"items":[{"spec":1}]}`: "list of nodes: json: cannot unmarshal number into Go struct field object.spec of type",
	} {
		list, err := readList(strings.NewReader(text))
		got := fmt.Sprint(err)
		if err == nil {
			var names []string
			for _, o := range list.Items {
				names = append(names, o.Metadata.Name)
			}
			got = fmt.Sprint(list.ResourceVersion, " ", list.Continue, " ", names)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s\nis %s, not %s", text, got, want)
		}
	}
	for n := range len(page) {
		if list, err := readList(strings.NewReader(page[:n])); err == nil {
			t.Errorf("torn after %d bytes it has %d Nodes", n, len(list.Items))
		}
	}
}

// endless is a list of Nodes of 8 kB, in which is looked now and then how much is kept.
type endless struct {
	rest  io.Reader
	nodes int
	most  uint64
}

func (e *endless) Read(into []byte) (int, error) {
	n, err := e.rest.Read(into)
	if err != io.EOF {
		return n, err
	}
	if e.nodes == 0 {
		return 0, err
	}
	e.nodes--
	after := ","
	if e.nodes == 0 {
		after = "]}"
	}
	e.rest = strings.NewReader(fmt.Sprintf(`{"metadata":{"name":"n%d"},"status":{"images":["%s"]}}%s`, e.nodes, strings.Repeat("x", 8000), after))
	if e.nodes%500 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		e.most = max(e.most, m.HeapAlloc)
	}
	return e.rest.Read(into)
}

// Of a list of 20 MB never more than 3 MB are in memory.
func TestListIsNeverWhole(t *testing.T) {
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := &endless{rest: strings.NewReader(`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[`), nodes: 2500}
	list, err := readList(e)
	if err != nil || len(list.Items) != 2500 {
		t.Fatalf("%v", err)
	}
	if most := int(e.most) - int(before.HeapAlloc); most > 3<<20 {
		t.Errorf("%d kB at the most", most>>10)
	}
}
