package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Path is the one place where the journal is chosen, for all networks of a host. A file that is not there chooses none.
//
//	{"log": {"to": "file", "file": "/var/log/trestle.log", "limit": 16777216}}
const Path = "/etc/cni/trestle.json"

// Config is what Path may have. Members that nobody knows are ignored.
type Config struct {
	Log Log `json:"log"`
}

// Log says where the lines go.
type Log struct {
	To    string `json:"to"`    // off (the default), file, journald
	File  string `json:"file"`  // to file: its absolute path; default DefaultFile
	Limit int64  `json:"limit"` // to file: bytes of one file, MinLimit at least; beyond them it becomes FILE.1. default DefaultLimit
}

// What is chosen where nothing is said.
const (
	DefaultFile  = "/var/log/trestle.log"
	DefaultLimit = 16 << 20
	MinLimit     = 64 << 10
)

// Read returns what Path chooses: the zero Log where there is none. An error names the file and the key.
func Read() (Log, error) {
	text, err := plainfile.Read(Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Log{}, nil
	}
	if err != nil {
		return Log{}, err
	}
	return decode(text)
}

func decode(text []byte) (Log, error) {
	if l, plain := decodePlain(text); plain {
		return l.checked()
	}
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return Log{}, fmt.Errorf("%s: %w", Path, err)
	}
	return c.Log.checked()
}

// decodePlain reads the file where nothing is in it but what it is for. Every call of every plugin does, and to learn a type takes encoding/json longer than
// all the rest that a line costs.
func decodePlain(text []byte) (l Log, plain bool) {
	var all map[string]any
	if json.Unmarshal(text, &all) != nil || len(all) != 1 {
		return l, false
	}
	log, plain := all["log"].(map[string]any)
	for key, value := range log {
		of, isText := value.(string)
		n, isNumber := value.(float64)
		switch {
		case key == "to" && isText:
			l.To = of
		case key == "file" && isText:
			l.File = of
		case key == "limit" && isNumber && n == float64(int64(n)):
			l.Limit = int64(n)
		default:
			return l, false
		}
	}
	return l, plain
}

func (l Log) checked() (Log, error) {
	wrong := func(key string, value any, rule string) (Log, error) {
		return Log{}, fmt.Errorf("%s: log.%s: %#v: %s", Path, key, value, rule)
	}
	switch l.To {
	case "", "off":
		return Log{}, nil
	case "journald":
		return Log{To: l.To}, nil
	case "file":
	default:
		return wrong("to", l.To, "must be off, file or journald")
	}
	if l.File == "" {
		l.File = DefaultFile
	}
	if l.Limit == 0 {
		l.Limit = DefaultLimit
	}
	if !filepath.IsAbs(l.File) {
		return wrong("file", l.File, "must be an absolute path")
	}
	if l.Limit < MinLimit {
		return wrong("limit", l.Limit, fmt.Sprintf("must be %d bytes at the least", MinLimit))
	}
	return l, nil
}
