package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The bill of materials is CycloneDX 1.5 (ECMA-424): what is in it is what a scanner for vulnerabilities wants to know.
type bill struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string           `json:"type"`
	Ref      string           `json:"bom-ref"`
	Name     string           `json:"name"`
	Version  string           `json:"version"`
	Licences []licenceChoice  `json:"licenses"`
	URL      string           `json:"purl"`
	Commit   []map[string]any `json:"properties,omitempty"`
}

type licenceChoice struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// materials writes the licences of all libraries, which go with every copy, and the bill of materials.
func (r *release) materials(string) error {
	all, err := r.libraries()
	if err != nil {
		return err
	}
	text, err := texts(all)
	if err != nil {
		return err
	}
	path := filepath.Join(r.stage, "LICENCES.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	r.add(path, "LICENCES.txt", "/usr/share/doc/trestle/LICENCES.txt", "/usr/share/licenses/trestle/LICENCES.txt")
	return r.create(fmt.Sprintf("trestle-%s.cdx.json", r.Version), func(f *os.File) error {
		out := json.NewEncoder(f)
		out.SetIndent("", "  ")
		return out.Encode(r.bill(all))
	})
}

func (r *release) bill(all []library) bill {
	us := part("application", library{path: module, version: r.Version, licence: "Apache-2.0"})
	us.Commit = []map[string]any{{"name": "trestle:commit", "value": r.commit}}
	b := bill{Format: "CycloneDX", Spec: "1.5", Version: 1, Metadata: metadata{r.date.Format("2006-01-02T15:04:05Z"), us}}
	ours := dependency{Ref: us.Ref}
	for _, l := range all {
		p := part("library", l)
		b.Components, ours.On = append(b.Components, p), append(ours.On, p.Ref)
	}
	b.Dependencies = []dependency{ours}
	b.Serial = serial(ours)
	return b
}

func part(kind string, l library) component {
	url := fmt.Sprintf("pkg:golang/%s@%s", l.path, l.version)
	c := component{Type: kind, Ref: url, Name: l.path, Version: l.version, URL: url, Licences: make([]licenceChoice, 1)}
	c.Licences[0].Licence.ID = l.licence
	return c
}

// serial is a UUID that follows from what is in the bill (version 8, RFC 9562), where a random one would change with each making.
func serial(d dependency) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q", d.Ref, d.On))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
