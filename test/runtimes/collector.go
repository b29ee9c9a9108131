package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// span is what is kept of a span, in OTLP's JSON.
type span struct {
	Trace  string `json:"traceId"`
	ID     string `json:"spanId"`
	Parent string `json:"parentSpanId,omitempty"`
	Name   string `json:"name"`
	Start  uint64 `json:"startTimeUnixNano,string"`
}

// spans is a message of the OpenTelemetry protocol, in its JSON.
type spans struct {
	Resources []struct {
		Scopes []struct {
			Spans []span `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

// collector receives spans by HTTP in protobuf, and adds each message to a file as a line of JSON, as a collector's file exporter does.
type collector struct {
	listener net.Listener
	file     *os.File
}

// collectSpans starts one on the loopback, and returns it with its address.
func collectSpans(file string) (*collector, string, error) {
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", errors.Join(err, out.Close())
	}
	c := &collector{listener, out}
	go http.Serve(listener, c)
	return c, "http://" + listener.Addr().String(), nil
}

func (c *collector) close() error { return errors.Join(c.listener.Close(), c.file.Close()) }

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = c.keep(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is one that took all
}

// keep reads ExportTraceServiceRequest (opentelemetry-proto 1.x): resource_spans 1, their scope_spans 2, their spans 2.
func (c *collector) keep(message []byte) error {
	var list []span
	err := each(message, 1, func(resource []byte) error {
		return each(resource, 2, func(scope []byte) error {
			return each(scope, 2, func(text []byte) error {
				s, err := readSpan(text)
				list = append(list, s)
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	line := map[string]any{"resourceSpans": []any{map[string]any{"scopeSpans": []any{map[string]any{"spans": list}}}}}
	return json.NewEncoder(c.file).Encode(line)
}

// each calls f for the fields of that number.
func each(message []byte, wanted protowire.Number, f func([]byte) error) error {
	return fields(message, func(number protowire.Number, value []byte) error {
		if number != wanted {
			return nil
		}
		return f(value)
	})
}

func readSpan(message []byte) (s span, err error) {
	err = fields(message, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			s.Trace = hex.EncodeToString(value)
		case 2:
			s.ID = hex.EncodeToString(value)
		case 4:
			s.Parent = hex.EncodeToString(value)
		case 5:
			s.Name = string(value)
		case 7:
			s.Start = binary.LittleEndian.Uint64(value)
		}
		return nil
	})
	return s, err
}

// fields calls f for each field of a message, with its bytes; those of a text, of bytes and of a message are without their length.
func fields(message []byte, f func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		value := message[:n]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(message)
		}
		if err := f(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
