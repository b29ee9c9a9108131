package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// member is a file on its way into an archive or a package.
type member struct {
	from string // on disk
	name string // in an archive
	mode int64
	deb  string // the absolute path in a Debian package; empty: not there
	rpm  string // and in an rpm
}

// bundle writes trestle-linux-ARCH-VERSION.tgz: all plugins in one binary, and what goes with it.
func (r *release) bundle(b binaries) error {
	members := append([]member{{from: filepath.Join(b.dir, bundleName), name: bundleName, mode: 0o755}}, r.shared...)
	return r.archive(fmt.Sprintf("trestle-linux-%s-%s.tgz", b.name, r.Version), members)
}

// agent writes trestle-node-linux-ARCH-VERSION.tgz: the agent, and its unit.
func (r *release) agent(b binaries) error {
	unit := nodeName + ".service"
	members := []member{{from: b.node, name: nodeName, mode: 0o755}, {from: filepath.Join(r.Root, nodeModule, unit), name: unit, mode: 0o644}}
	for _, m := range r.shared {
		if m.name == "LICENSE" || m.name == "LICENCES.txt" {
			members = append(members, m)
		}
	}
	return r.archive(fmt.Sprintf("%s-linux-%s-%s.tgz", nodeName, b.name, r.Version), members)
}

// dropIn writes cni-plugins-linux-ARCH-VERSION.tgz: a binary each, as the reference's archive of that name, whose members are taken one by one.
func (r *release) dropIn(b binaries) error {
	var members []member
	for _, name := range b.names {
		members = append(members, member{from: filepath.Join(b.dir, name), name: name, mode: 0o755})
	}
	for _, m := range r.shared {
		if m.name == "LICENSE" || m.name == "LICENCES.txt" || m.name == "README.md" {
			members = append(members, m)
		}
	}
	return r.archive(fmt.Sprintf("cni-plugins-linux-%s-%s.tgz", b.name, r.Version), members)
}

// manifests writes trestle-kubernetes-VERSION.tgz: what a cluster is told.
func (r *release) manifests() error {
	all, err := below(filepath.Join(r.Root, "deploy", "kubernetes"))
	if err != nil {
		return err
	}
	told := slices.DeleteFunc(all, func(m member) bool { return strings.HasSuffix(m.name, ".go") || strings.HasPrefix(m.name, "go.") })
	return r.archive(fmt.Sprintf("trestle-kubernetes-%s.tgz", r.Version), told)
}

// archive writes a compressed archive, and the sums that lie beside each.
func (r *release) archive(name string, members []member) error {
	err := r.create(name, func(f *os.File) error {
		z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
		if err != nil {
			return err
		}
		if err := r.tar(z, members); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		return err
	}
	for ending, sum := range map[string]hash.Hash{"sha1": sha1.New(), "sha256": sha256.New(), "sha512": sha512.New()} {
		line, err := sumLine(r.Out, name, sum)
		if err == nil {
			err = os.WriteFile(filepath.Join(r.Out, name+"."+ending), []byte(line), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tar writes the members with a "./" before each name, as the reference's archive has it, which scripts have learned.
func (r *release) tar(out io.Writer, members []member) error {
	w := tar.NewWriter(out)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755, ModTime: r.date, Format: tar.FormatGNU}); err != nil {
		return err
	}
	for _, m := range members {
		data, err := os.ReadFile(m.from)
		if err != nil {
			return err
		}
		head := &tar.Header{Name: "./" + m.name, Mode: m.mode, Size: int64(len(data)), ModTime: r.date, Format: tar.FormatGNU}
		if err := w.WriteHeader(head); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return w.Close()
}

// sumLine is the line that sha256sum and its like print and check.
func sumLine(dir, name string, sum hash.Hash) (string, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x  %s\n", sum.Sum(nil), name), nil
}
