package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// password is that of the key as the second releaser has it.
const password = "a word and another"

// lock writes a key that has none with the password.
func lock(from, to string) error {
	key, err := secretKey(from)
	if err != nil {
		return err
	}
	text, err := minisign.EncryptKey(password, key)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// Who downloads checks by the two lines of the page; what was changed, or is signed by somebody else, does not pass.
func TestSignature(t *testing.T) {
	check := line(t, "deploy/README.md", "minisign -V") + " -H && " + line(t, "deploy/README.md", "sha256sum --check")
	downloaded := archive("trestle", runtime.GOARCH)
	for name, change := range map[string]string{
		"nothing":               "",
		"the sums":              "echo >>SHA256SUMS",
		"a file":                "printf x >>" + filepath.Base(downloaded),
		"another file":          "cp SHA256SUMS " + filepath.Base(downloaded),
		"the signature":         "sed -i 2y/ABCDEFGH/HGFEDCBA/ SHA256SUMS.minisig",
		"the version signed":    "sed -i 's/^trusted comment: trestle .*/trusted comment: trestle v9.9.9/' SHA256SUMS.minisig",
		"the signer":            "rm trestle.pub && minisign -G -W -s other -p trestle.pub",
		"the signer, again":     "minisign -G -W -s other -p other.pub && minisign -S -s other -m SHA256SUMS",
		"no signature":          "rm SHA256SUMS.minisig",
		"nothing is downloaded": "rm *.tgz",
	} {
		dir := t.TempDir()
		must(t, made.dir, "cp", sums, sums+".minisig", downloaded, dir)
		must(t, dir, "cp", filepath.Join(made.work, "key.pub"), "trestle.pub")
		must(t, dir, "sh", "-c", change)
		out, err := exec.Command("sh", "-c", "cd "+dir+" && "+check).CombinedOutput()
		if passed := err == nil; passed != (name == "nothing") {
			t.Errorf("%s was changed: %v\n%s", name, err, out)
		}
		if want := "Trusted comment: trestle " + made.version + "\n"; name == "nothing" && !strings.Contains(string(out), want) {
			t.Errorf("said:\n%s\nwant a line %q", out, want)
		}
	}
}

// A key that cannot be had is named, before anything is made.
func TestKey(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("untrusted comment: x\nRWQ\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MINISIGN_PASSWORD", "another word")
	for _, path := range []string{none, garbage, filepath.Join(made.work, "key.locked"), filepath.Join(made.work, "key.pub"), made.work} {
		if _, err := secretKey(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
