package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// sums is the one file that is signed: who has it has the sum of every other.
const sums = "SHA256SUMS"

// sign writes the sums of all files and, where there is a key, its signature. The trusted comment has the version, so that an old release
// is not passed off as a new one, and no time, so that it is the same twice.
func (r *release) sign() error {
	slices.Sort(r.made)
	var all strings.Builder
	for _, name := range r.made {
		line, err := sumLine(r.Out, name, sha256.New())
		if err != nil {
			return err
		}
		all.WriteString(line)
	}
	text := []byte(all.String())
	if err := os.WriteFile(filepath.Join(r.Out, sums), text, 0o644); err != nil || r.Key == "" {
		return err
	}
	key, err := secretKey(r.Key)
	if err != nil {
		return err
	}
	message := minisign.NewReader(strings.NewReader(all.String()))
	if _, err := io.Copy(io.Discard, message); err != nil {
		return err
	}
	signature := message.SignWithComments(key, "trestle "+r.Version, fmt.Sprintf("signature from minisign secret key %X", key.ID()))
	return os.WriteFile(filepath.Join(r.Out, sums+".minisig"), signature, 0o644)
}

// secretKey reads a minisign secret key, with a password or without.
func secretKey(path string) (key minisign.PrivateKey, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return key, err
	}
	if minisign.IsEncrypted(text) {
		key, err = minisign.DecryptKey(os.Getenv("MINISIGN_PASSWORD"), text)
	} else {
		err = key.UnmarshalText(text)
	}
	if err != nil {
		return key, fmt.Errorf("key %s: %w", path, err)
	}
	return key, nil
}
