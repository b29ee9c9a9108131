package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the formats that a release has
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// standsFor is the release of the reference (containernetworking/plugins, which others package as kubernetes-cni) that ours takes the place of.
const standsFor = "1.10.0"

const description = `container networking: the CNI plugins in one binary, and the operator's tool
 A drop-in replacement for the reference CNI plugins, installed beside those
 that are there: they come back when this package is removed.`

// aside is where trestle puts plugins of others that ours take the place of; the scripts know it, too.
const aside = "/.trestle-replaced"

// deb makes the package for Debian and what descends from it. It has the names by which podman and the kubelet ask for plugins.
func (r *release) deb(b binaries) error {
	info := r.info(b, []string{"/usr/lib/cni", "/opt/cni/bin"}, func(m member) string { return m.deb })
	info.Provides = []string{"container-network-stack (= 1)", "containernetworking-plugins (= " + standsFor + ")", "kubernetes-cni (= " + standsFor + ")"}
	return r.packaged("deb", info)
}

// rpm makes the package for Fedora, RHEL, SUSE.
func (r *release) rpm(b binaries) error {
	info := r.info(b, []string{"/usr/libexec/cni", "/opt/cni/bin"}, func(m member) string { return m.rpm })
	info.Provides = []string{"containernetworking-plugins = " + standsFor, "kubernetes-cni = " + standsFor}
	info.RPM.BuildHost, info.RPM.Packager = "trestle", info.Maintainer
	return r.packaged("rpm", info)
}

// script stages package/FORMAT/NAME, which puts the plugins' names in place as `trestle install` does. @UNITS@ in it are those of conf/systemd.
func (r *release) script(format, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.Root, "deploy", "package", format, name))
	if err != nil {
		return "", err
	}
	var units []string
	for _, m := range r.shared {
		if unit, is := strings.CutPrefix(m.name, "systemd/"); is {
			units = append(units, unit)
		}
	}
	path := filepath.Join(r.stage, format+"-"+name)
	return path, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "@UNITS@", strings.Join(units, " "))), 0o755)
}

// info is what both formats say. The plugins' names are not among the files: a package's files do not all appear in one step, and `trestle
// install` leaves no moment in which a name is missing or leads nowhere.
func (r *release) info(b binaries, dirs []string, place func(member) string) *nfpm.Info {
	info := &nfpm.Info{
		Name: bundleName, Arch: b.packed, Platform: "linux", Version: r.Version, Release: "1", Section: "net", Priority: "optional",
		Maintainer: "The Trestle maintainers <trestle-cni@users.noreply.github.com>", Vendor: "Trestle", Homepage: origin,
		License: "Apache-2.0", Description: description, MTime: r.date, DisableGlobbing: true,
	}
	put := func(from, to string, mode fs.FileMode, kind string) {
		what := &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.date}
		info.Contents = append(info.Contents, &files.Content{Source: from, Destination: to, Type: kind, FileInfo: what})
	}
	put(filepath.Join(b.dir, bundleName), "/usr/bin/trestle", 0o755, files.TypeFile)
	for _, dir := range dirs {
		put("", dir+aside, 0o755|fs.ModeDir, files.TypeDir)
	}
	ours := make(map[string]bool) // folders that nobody else has: rpm takes away what it was told of
	for _, m := range r.shared {
		to := place(m)
		if to == "" {
			continue
		}
		put(m.from, to, fs.FileMode(m.mode), files.TypeFile)
		for dir := path.Dir(to); strings.Contains(dir, "/"+bundleName) && !ours[dir]; dir = path.Dir(dir) {
			ours[dir] = true
			put("", dir, 0o755|fs.ModeDir, files.TypeDir)
		}
	}
	return info
}

// packaged writes a package under the name that its format's tools expect.
func (r *release) packaged(format string, info *nfpm.Info) error {
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	for name, script := range map[string]*string{"postinst": &info.Scripts.PostInstall, "prerm": &info.Scripts.PreRemove} {
		if *script, err = r.script(format, name); err != nil {
			return err
		}
	}
	if err := nfpm.PrepareForPackager(nfpm.WithDefaults(info), format); err != nil {
		return err
	}
	return r.create(packager.ConventionalFileName(info), func(f *os.File) error { return packager.Package(info, f) })
}
