// Package calls is what passes between a runtime and a plugin.
package calls

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// Call is one call of a plugin as it was made.
type Call struct {
	Plugin       string
	Verb         string
	Env          map[string]string // CNI_*
	Stdin        []byte
	Stdout       []byte
	Status       int // of the process
	Milliseconds float64
}

// Read returns the calls that a recorder appended to the file, in the order in which they ended, and none where there is no file.
func Read(file string) ([]Call, error) {
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var list []Call
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var call Call
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			return nil, err
		}
		list = append(list, call)
	}
	return list, lines.Err()
}
