package golden

import (
	"os"
	"regexp"
	"testing"
)

// Documented wants every key that a plugin's config.go reads to stand in its README.md, in backquotes, alone or at the end of a path.
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
	reads := regexp.MustCompile(`\.(?:String|Bool|Int|Has|Objects|Object|Strings|Addr|MAC)\("(\w+)"`).FindAllSubmatch(code, -1)
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
