package golden

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Documented wants every key that a plugin's config.go reads to stand in its README.md, in backquotes, alone or at the end of a path: those that it reads by
// a function of pkg/attach/endpoint, too.
func Documented(t *testing.T) {
	t.Helper()
	code, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	code = append(code, shared(t, code)...)
	reads := regexp.MustCompile(`\.(?:String|Bool|Int|Large|Number|Has|Objects|Object|Strings|Addr|MAC)\("(\w+)"`).FindAllSubmatch(code, -1)
	if len(reads) == 0 {
		t.Fatal("config.go reads no key")
	}
	for _, read := range reads {
		key := string(read[1])
		if !regexp.MustCompile("[`.\"]" + key + "[`.\"]").Match(page) {
			t.Errorf("README.md does not say what %s is", key)
		}
	}
}

// shared returns the code of the functions of pkg/attach/endpoint that are called.
func shared(t *testing.T, code []byte) (all []byte) {
	t.Helper()
	const room = "../../pkg/attach/endpoint"
	files, err := filepath.Glob(room + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	for _, call := range regexp.MustCompile(`endpoint\.(\w+)\(`).FindAllSubmatch(code, -1) {
		body := regexp.MustCompile(`(?ms)^func ` + string(call[1]) + `\(.*?^}`).Find(source)
		if body == nil {
			t.Errorf("%s: has no function %s", room, call[1])
		}
		all = append(all, body...)
	}
	return all
}
