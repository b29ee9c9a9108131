package keys

import (
	"bytes"
	"encoding/json"
	"strings"
)

// members reads the members of an object in valid JSON in their order, so that the last of equal keys wins whatever their case; false for what is no
// object. A decoder of encoding/json for each object takes several times as long, and some hundred ports are some hundred objects.
func members(data []byte) (map[string]json.RawMessage, bool) {
	data = bytes.TrimLeft(data, space)
	if len(data) == 0 || data[0] != '{' {
		return nil, false
	}
	values := make(map[string]json.RawMessage)
	for data = bytes.TrimLeft(data[1:], space); data[0] != '}'; data = bytes.TrimLeft(data, space+",") {
		end := endOfText(data)
		name := strings.ToLower(text(data[:end]))
		data = bytes.TrimLeft(data[end:], space+":")
		end = endOfValue(data)
		value := json.RawMessage(bytes.TrimRight(data[:end], space))
		if _, seen := values[name]; !seen || string(value) != "null" {
			values[name] = value
		}
		data = data[end:]
	}
	return values, true
}

// space is what JSON allows between its parts.
const space = " \t\r\n"

// text is what a quoted text says.
func text(quoted []byte) string {
	plain := quoted[1 : len(quoted)-1]
	for _, c := range plain {
		if c == '\\' || c >= 0x80 { // to be decoded, or not even UTF-8
			var s string
			_ = json.Unmarshal(quoted, &s) // which is valid
			return s
		}
	}
	return string(plain)
}

// endOfText returns the length of the quoted text at the start.
func endOfText(data []byte) int {
	for i := 1; ; i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// endOfValue returns where the value at the start ends: before the comma or the bracket that is not its own.
func endOfValue(data []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch data[i] {
		case '"':
			i += endOfText(data[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}
