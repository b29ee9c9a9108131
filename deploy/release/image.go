package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageName is what the image is called where nobody has given it another name.
const imageName = "ghcr.io/trestle-cni/trestle"

// nobody is who runs the image's program where nothing says otherwise: only who puts plugins in place has to be root.
const nobody = "65532:65532"

// image is that of one architecture.
type image struct{ binaries }

// index writes trestle-image-VERSION.tar: an OCI archive with an image for each architecture, which skopeo, podman and containerd read.
func (r *release) index(images []image) error {
	var all v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		made, err := r.image(i)
		if err != nil {
			return err
		}
		platform := &v1.Platform{OS: "linux", Architecture: i.name, Variant: i.variant}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: made, Descriptor: v1.Descriptor{Platform: platform}})
	}
	dir := filepath.Join(r.stage, "image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = path.AppendIndex(all, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": imageName + ":" + r.Version, "org.opencontainers.image.ref.name": r.Version,
	}))
	if err != nil {
		return err
	}
	members, err := below(dir)
	if err != nil {
		return err
	}
	return r.create(fmt.Sprintf("trestle-image-%s.tar", r.Version), func(f *os.File) error { return r.tar(f, members) })
}

// below lists the files below a folder, in the order of their names.
func below(dir string) (members []member, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		members = append(members, member{from: path, name: name, mode: 0o644})
		return err
	})
	return members, err
}

// image makes the image of one architecture: the bundle, the agent, the licences, and nothing else.
func (r *release) image(i image) (v1.Image, error) {
	var packed bytes.Buffer
	members := []member{{from: filepath.Join(i.dir, bundleName), name: bundleName, mode: 0o755}, {from: i.node, name: nodeName, mode: 0o755}}
	for _, m := range r.shared {
		if m.name == "LICENSE" || m.name == "LICENCES.txt" {
			members = append(members, m)
		}
	}
	if err := r.tar(&packed, members); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), r.config(i))
	if err != nil {
		return nil, err
	}
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	return mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "make release"}})
}

// config says how the image is run: as the tool, which puts the plugins in place unless it is asked for something else.
func (r *release) config(i image) *v1.ConfigFile {
	return &v1.ConfigFile{
		Architecture: i.name, OS: "linux", Variant: i.variant, Created: v1.Time{Time: r.date}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User: nobody, Entrypoint: []string{"/" + bundleName}, Cmd: []string{"install"}, Env: []string{"PATH=/"},
			Labels: map[string]string{
				"org.opencontainers.image.title": bundleName, "org.opencontainers.image.version": r.Version,
				"org.opencontainers.image.revision": r.commit, "org.opencontainers.image.source": origin,
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	}
}
