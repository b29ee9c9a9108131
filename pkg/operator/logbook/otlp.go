package logbook

import (
	"strconv"
	"time"

	"github.com/trestle-cni/trestle/pkg/journal"
)

// Traces is entries as spans, in the JSON of the OpenTelemetry protocol (ExportTraceServiceRequest, opentelemetry-proto 1.x): an object a line is what a
// collector's otlpjsonfile receiver reads.
type Traces struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   attributes   `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type scopeSpans struct {
	Scope struct {
		Name string `json:"name"`
	} `json:"scope"`
	Spans []span `json:"spans"`
}

type attributes struct {
	Attributes []attribute `json:"attributes"`
}

type attribute struct {
	Key   string `json:"key"`
	Value struct {
		Text string `json:"stringValue"`
	} `json:"value"`
}

// span has times in nanoseconds since 1970 as text, which is how protobuf's JSON has 64 bits.
type span struct {
	TraceID string      `json:"traceId"`
	SpanID  string      `json:"spanId"`
	Parent  string      `json:"parentSpanId,omitempty"`
	Name    string      `json:"name"`
	Kind    int         `json:"kind"` // 1: internal
	Start   string      `json:"startTimeUnixNano"`
	End     string      `json:"endTimeUnixNano"`
	With    []attribute `json:"attributes,omitempty"`
	Status  *status     `json:"status,omitempty"`
}

type status struct {
	Code    int    `json:"code"` // 2: error
	Message string `json:"message,omitempty"`
}

// TracesOf is the entry as a span of the service, with its phases as children; false for one that no runtime's trace had a part for.
func TracesOf(e journal.Entry, service string) (Traces, bool) {
	if e.Trace == nil {
		return Traces{}, false
	}
	whole := span{TraceID: e.Trace.ID, SpanID: e.Trace.Span, Parent: e.Trace.Parent, Name: "CNI " + e.Verb + " " + e.Plugin, Kind: 1,
		Start: nanoseconds(e.Time, 0), End: nanoseconds(e.Time, e.Millis), With: with(
			"cni.network", e.Network, "cni.container", e.Container, "cni.interface", e.Interface, "k8s.pod", e.Pod)}
	if e.Code != 0 {
		whole.Status = &status{2, e.Error}
	}
	spans, at := []span{whole}, 0.0
	for i, p := range e.Phases {
		spans = append(spans, span{TraceID: e.Trace.ID, SpanID: child(e.Trace.Span, i), Parent: e.Trace.Span, Name: p.What, Kind: 1,
			Start: nanoseconds(e.Time, at), End: nanoseconds(e.Time, at+p.Millis)})
		at += p.Millis
	}
	one := scopeSpans{Spans: spans}
	one.Scope.Name = service
	return Traces{[]resourceSpans{{Resource: attributes{with("service.name", service)}, ScopeSpans: []scopeSpans{one}}}}, true
}

// with pairs keys with values, and leaves out those that are empty.
func with(pairs ...string) (list []attribute) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			a := attribute{Key: pairs[i]}
			a.Value.Text = pairs[i+1]
			list = append(list, a)
		}
	}
	return list
}

func nanoseconds(from time.Time, ms float64) string {
	return strconv.FormatInt(from.UnixNano()+int64(ms*1e6), 10)
}

// child is an id for a phase: the call's own, which is random, and the phase's number.
func child(span string, index int) string {
	id, _ := strconv.ParseUint(span, 16, 64) // it was checked when it was taken
	text := strconv.FormatUint(id^uint64(index+1)<<40, 16)
	return "0000000000000000"[len(text):] + text
}
