package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// prepare makes what is the same for every architecture: manual, completion, units, examples, licences, bill of materials.
func (r *release) prepare() error {
	tool, err := r.native()
	if err != nil {
		return err
	}
	for _, step := range []func(string) error{r.papers, r.manual, r.completion, r.configuration, r.materials} {
		if err := step(tool); err != nil {
			return err
		}
	}
	return nil
}

// add takes a file of the tree, or one that was staged.
func (r *release) add(from, name, deb, rpm string) {
	r.shared = append(r.shared, member{from: from, name: name, mode: 0o644, deb: deb, rpm: rpm})
}

// both adds a file that lies in the same place on every distribution.
func (r *release) both(from, name, path string) { r.add(from, name, path, path) }

// papers are the licence, what is new, and the page to begin with.
func (r *release) papers(string) error {
	r.add(filepath.Join(r.Root, "LICENSE"), "LICENSE", "/usr/share/doc/trestle/copyright", "/usr/share/licenses/trestle/LICENSE")
	r.both(filepath.Join(r.Root, "CHANGELOG.md"), "CHANGELOG.md", "/usr/share/doc/trestle/CHANGELOG.md")
	r.both(filepath.Join(r.Root, "README.md"), "README.md", "/usr/share/doc/trestle/README.md")
	return nil
}

// manual makes the pages, dated as the commit is.
func (r *release) manual(string) error {
	dir := filepath.Join(r.stage, "man")
	if _, err := r.with([]string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.date.Unix(), 10)}, "go", "run", "./docs/man", dir); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := compress(page); err != nil {
			return err
		}
		name := filepath.Base(page) + ".gz"
		r.both(page+".gz", "man/"+name, "/usr/share/man/man1/"+name)
	}
	return nil
}

// compress writes path.gz, without a name or a time.
func compress(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.Create(path + ".gz")
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(data)
	}
	if err != nil {
		return err
	}
	return z.Close()
}

// completion asks the tool for that of each shell.
func (r *release) completion(tool string) error {
	dir := filepath.Join(r.stage, "completion")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, shell := range []struct{ name, file, deb, rpm string }{
		{"bash", "trestle", "/usr/share/bash-completion/completions/", "/usr/share/bash-completion/completions/"},
		{"zsh", "_trestle", "/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/"},
		{"fish", "trestle.fish", "/usr/share/fish/vendor_completions.d/", "/usr/share/fish/vendor_completions.d/"},
	} {
		text, err := r.output(tool, "completion", shell.name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, shell.file), []byte(text+"\n"), 0o644)
		}
		if err != nil {
			return fmt.Errorf("completion of %s: %w", shell.name, err)
		}
		r.add(filepath.Join(dir, shell.file), "completion/"+shell.file, shell.deb+shell.file, shell.rpm+shell.file)
	}
	return nil
}

// configuration is the networks to begin with, as examples, and the units.
func (r *release) configuration(string) error {
	for _, of := range []struct{ pattern, archive, path string }{
		{"conf/*.conflist", "conf/", "/usr/share/doc/trestle/examples/"},
		{"conf/README.md", "conf/", "/usr/share/doc/trestle/examples/"},
		{"conf/systemd/*", "systemd/", "/usr/lib/systemd/system/"},
	} {
		found, err := filepath.Glob(filepath.Join(r.Root, of.pattern))
		if err != nil {
			return err
		}
		for _, file := range found {
			r.both(file, of.archive+filepath.Base(file), of.path+filepath.Base(file))
		}
	}
	return nil
}
