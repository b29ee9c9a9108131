package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// library is a module, or Go's own library, that is in the binaries.
type library struct{ path, version, dir, licence string }

// libraries lists what the binaries are made of, and reads the licence of each. One that cannot be told stops the release: somebody has to read it.
func (r *release) libraries() ([]library, error) {
	var lines []string
	for _, of := range [][]string{{".", "./cmd/..."}, {nodeModule, "."}} {
		list := []string{"list", "-C", of[0], "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}", of[1]}
		said, err := r.with([]string{"GOOS=linux"}, "go", list...)
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.Split(said, "\n")...)
	}
	goes, err := r.output("go", "env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	slices.Sort(lines)
	version, root, _ := strings.Cut(goes, "\n")
	all := []library{{path: "std", version: strings.TrimPrefix(version, "go"), dir: root}}
	for _, line := range slices.Compact(lines) {
		if f := strings.Fields(line); len(f) == 3 && f[0] != module {
			all = append(all, library{path: f[0], version: f[1], dir: f[2]})
		}
	}
	for i := range all {
		text, err := all[i].text()
		if err != nil {
			return nil, err
		}
		if all[i].licence = name(text); all[i].licence == "" {
			return nil, fmt.Errorf("%s: its licence is none that is known here: read it, and see deploy/release/licences.go", all[i].path)
		}
	}
	return all, nil
}

// text is the licence of a library, with the notice that some want to be passed on.
func (l library) text() (string, error) {
	var all strings.Builder
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		switch upper := strings.ToUpper(f.Name()); {
		case f.IsDir(), !strings.HasPrefix(upper, "LICEN") && !strings.HasPrefix(upper, "COPYING") && !strings.HasPrefix(upper, "NOTICE"):
			continue
		}
		text, err := os.ReadFile(filepath.Join(l.dir, f.Name()))
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	if all.Len() == 0 {
		return "", fmt.Errorf("%s: has no licence in %s", l.path, l.dir)
	}
	return all.String(), nil
}

// name tells a licence by words that no other has, and calls it as SPDX does.
func name(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, sign := range []struct{ words, name string }{
		{"Apache License Version 2.0", "Apache-2.0"},
		{"Neither the name of", "BSD-3-Clause"},
		{"may not be used to endorse or promote", "BSD-3-Clause"},
		{"Redistributions in binary form must reproduce", "BSD-2-Clause"},
		{"Permission is hereby granted, free of charge", "MIT"},
		{"Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted", "ISC"},
	} {
		if strings.Contains(text, sign.words) {
			return sign.name
		}
	}
	return ""
}

// texts is one file with all licences, as they ask to be passed on.
func texts(all []library) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "Trestle is under the Apache License 2.0 (LICENSE). Its binaries have in them:\n")
	for _, l := range all {
		text, err := l.text()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n%[1]s\n\n%[5]s", strings.Repeat("=", 80), l.path, l.version, l.licence, text)
	}
	return b.String(), nil
}
