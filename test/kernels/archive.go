package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Kernel is a distribution's kernel in a folder of ours; nothing of it is installed.
type Kernel struct {
	Series  string // as it was asked for: 6.1
	Package string // linux-image-6.1.0-56-amd64
	Dir     string // with boot/ and lib/modules/ in it
	Release string // what uname -r says
}

// find finds the newest kernel of the series in Debian's archive, and unpacks it into the cache unless it is there.
func find(series, cache string) (Kernel, error) {
	if !regexp.MustCompile(`^[0-9]+\.[0-9]+$`).MatchString(series) {
		return Kernel{}, fmt.Errorf("kernel %q: want a series, such as 6.1", series)
	}
	k, failed := listed(series, cache)
	if failed == nil {
		return k, nil
	}
	// There may be no lists yet, or those of before the last point release, whose package the archive has no more.
	if _, err := run("apt-get", "update", "-qq"); err != nil {
		return k, fmt.Errorf("%w\nkernel %s: no new package lists: %w", failed, series, err)
	}
	return listed(series, cache)
}

// listed is the newest kernel of the series that the package lists have, from the cache or else from the archive.
func listed(series, cache string) (Kernel, error) {
	out, err := run("apt-cache", "pkgnames", "linux-image-"+series)
	if err != nil {
		return Kernel{}, err
	}
	name := latest(series, strings.Fields(out))
	if name == "" {
		return Kernel{}, fmt.Errorf("kernel %s: the archive has no package linux-image-%s.*-amd64 (apt-cache pkgnames linux-image)", series, series)
	}
	k := Kernel{Series: series, Package: name, Dir: filepath.Join(cache, name), Release: strings.TrimPrefix(name, "linux-image-")}
	if _, err := os.Stat(k.Dir); err == nil {
		return k, nil
	}
	return k, k.fetch(cache)
}

// latest picks the newest general kernel of the series: 6.1.0-56-amd64, 6.12.117+deb12-amd64; none for a cloud, for real time, or unsigned.
func latest(series string, names []string) string {
	ours := regexp.MustCompile(`^linux-image-` + regexp.QuoteMeta(series) + `\.[0-9]+(\+[a-z0-9+.]+)?(-[0-9]+)?-amd64$`)
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !ours.MatchString(n) })
	if len(names) == 0 {
		return ""
	}
	return slices.MaxFunc(names, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
}

func numbers(name string) (list []int) {
	for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(name, -1) {
		n, _ := strconv.Atoi(digits) // digits are a number
		list = append(list, n)
	}
	return list
}

// fetch downloads and unpacks beside the cache, so that a folder of the cache is always whole.
func (k Kernel) fetch(cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("apt-get", "download", "-qq", k.Package)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kernel %s: %s: %w\n%s", k.Series, k.Package, err, out)
	}
	debs, err := filepath.Glob(dir + "/*.deb")
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("kernel %s: %s: %d files came, want one: %w", k.Series, k.Package, len(debs), err)
	}
	root := filepath.Join(dir, "root")
	_, unpackErr := run("dpkg", "-x", debs[0], root)
	_, indexErr := run("depmod", "--basedir", root, k.Release) // which a package does when it is installed
	if err := errors.Join(unpackErr, indexErr); err != nil {
		return err
	}
	return os.Rename(root, k.Dir)
}

// run returns what a command prints.
func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	if err == nil {
		return string(out), nil
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
}
