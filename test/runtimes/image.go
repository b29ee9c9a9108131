package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

// imageName is the one image there is: pause and app in one.
const imageName = "docker.io/trestle/app:1"

// archive is an OCI image layout in a tar file (image-spec, image-layout.md), as it is being written.
type archive struct {
	*tar.Writer
	err error
}

// packImage writes an image of one layer with one file, /app, to a tar file that runtimes import. Nothing can be pulled where this runs, and
// nothing needs to be.
func packImage(app, file string) error {
	program, err := os.ReadFile(app)
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	var layer bytes.Buffer
	inner := archive{Writer: tar.NewWriter(&layer)}
	inner.add("app", program, 0o755)
	inner.Close()
	a := archive{Writer: tar.NewWriter(out)}
	a.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
	rootfs := a.blob("application/vnd.oci.image.layer.v1.tar", layer.Bytes())
	config := a.blob("application/vnd.oci.image.config.v1+json", text(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/app"}, "Cmd": []string{"pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{rootfs["digest"]}},
	}))
	manifest := a.blob("application/vnd.oci.image.manifest.v1+json", text(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []any{rootfs},
	}))
	manifest["annotations"] = map[string]string{"io.containerd.image.name": imageName, "org.opencontainers.image.ref.name": imageName}
	a.add("index.json", text(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}}), 0o644)
	if inner.err != nil {
		return inner.err
	}
	if a.err != nil {
		return a.err
	}
	return a.Close()
}

// blob adds the content and returns its descriptor.
func (a *archive) blob(mediaType string, content []byte) map[string]any {
	digest := fmt.Sprintf("%x", sha256.Sum256(content))
	a.add("blobs/sha256/"+digest, content, 0o644)
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(content)}
}

func (a *archive) add(name string, content []byte, mode int64) {
	if a.err == nil {
		a.err = a.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg})
	}
	if a.err == nil {
		_, a.err = a.Write(content)
	}
}

func text(value any) []byte {
	out, err := json.Marshal(value)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return out
}
