// Command release makes a release of the tree that it stands in: archives, packages, an image, what is in them, and sums that can be signed.
//
//	make release VERSION=v0.1.0
//
// It asks nothing of the network but Go modules, and the same commit with the same Go gives the same bytes in any folder, at any time.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	r := release{}
	arches := flag.String("arch", strings.Join(known(), ","), "the architectures, as Go names them")
	flag.StringVar(&r.Version, "version", "", "the version, as v0.1.0: that of the top entry in CHANGELOG.md")
	flag.StringVar(&r.Root, "root", "..", "the tree")
	flag.StringVar(&r.Out, "out", "", "where the release goes (default: dist/VERSION in the tree)")
	flag.StringVar(&r.Key, "key", os.Getenv("MINISIGN_KEY"), "a minisign secret key; its password, if it has one, is in MINISIGN_PASSWORD")
	flag.Parse()
	began := time.Now()
	if err := r.run(strings.Split(*arches, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
	fmt.Printf("%s: made in %s\n", r.Out, time.Since(began).Round(time.Second))
}

// release is one version being made.
type release struct {
	Version, Root, Out, Key string

	commit string
	date   time.Time // of the commit: the only time that gets into a file
	stage  string    // where files wait to be packed
	shared []member  // what every archive and package has beside the binaries, with where each package wants it
	made   []string  // names of the files of the release
}

// run makes the release, one architecture after the other: two compilers at once would only share the same processors.
func (r *release) run(arches []string) error {
	for _, arch := range arches {
		if _, err := find(arch); err != nil {
			return err
		}
	}
	if err := r.look(); err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "trestle-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	r.stage = stage
	tree := filepath.Join(stage, "tree") // what git passes over here is in no other folder, so nothing is read here any more
	if err := r.clone(tree); err != nil {
		return err
	}
	r.Root = tree
	if err := r.prepare(); err != nil {
		return err
	}
	var images []image
	for _, arch := range arches {
		b, err := r.build(arch)
		if err != nil {
			return err
		}
		if err := r.pack(b); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		images = append(images, image{b})
		fmt.Println(arch)
	}
	if err := r.index(images); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := r.manifests(); err != nil {
		return err
	}
	return r.sign()
}

// pack writes the archives and packages of one architecture.
func (r *release) pack(b binaries) error {
	for _, step := range []func(binaries) error{r.bundle, r.agent, r.dropIn, r.deb, r.rpm} {
		if err := step(b); err != nil {
			return err
		}
	}
	return nil
}

// create makes a file of the release.
func (r *release) create(name string, write func(*os.File) error) error {
	f, err := os.OpenFile(filepath.Join(r.Out, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	r.made = append(r.made, name)
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}
