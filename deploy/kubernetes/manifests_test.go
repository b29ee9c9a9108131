// Package kubernetes holds the manifests by which a cluster gets the plugins, and what they promise: kustomize and Helm make the same of them.
package kubernetes

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// ways are the overlays, and the values of the chart that stand for the same.
var ways = map[string]map[string]any{
	"base":   {},
	"crio":   {"binDir": "/usr/libexec/cni"},
	"debian": {"binDir": "/usr/lib/cni"},
	"remove": {"mode": "remove"},
	"cni":    {"node": map[string]any{"enabled": true}},
}

// kustomized is what kubectl apply -k sends.
func kustomized(t *testing.T, overlay string) string {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// helmed is what helm install sends.
func helmed(values map[string]any) (string, error) {
	chart, err := loader.Load("chart")
	if err != nil {
		return "", err
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "trestle", Namespace: "kube-system"}, nil)
	if err != nil {
		return "", err
	}
	made, err := engine.Render(chart, all)
	return made["trestle/templates/daemonset.yaml"] + "\n---\n" + made["trestle/templates/node.yaml"], err
}

// sorted is the objects in order, and each with its keys in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var all []string
	for part := range strings.SplitSeq(text, "\n---\n") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(part), &object); err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		out, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if object != nil {
			all = append(all, string(out))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "---\n")
}

func TestBothMakeTheSame(t *testing.T) {
	for overlay, values := range ways {
		made, err := helmed(values)
		if err != nil {
			t.Fatal(err)
		}
		if one, other := sorted(t, kustomized(t, overlay)), sorted(t, made); one != other {
			t.Errorf("%s: kustomize makes\n%s\nand Helm\n%s", overlay, one, other)
		}
	}
}

func TestChartLints(t *testing.T) {
	for _, values := range ways {
		for _, m := range lint.All("chart", values, "kube-system", false).Messages {
			if m.Severity >= support.InfoSev {
				t.Errorf("%v: %v", values, m)
			}
		}
	}
	for _, wrong := range []map[string]any{{"mode": "uninstall"}, {"binDir": "opt"}, {"image": map[string]any{"tagg": "v1"}}, {"node": map[string]any{"reach": "bgp"}}} {
		if text, err := helmed(wrong); err == nil {
			t.Errorf("%v: was taken, and made\n%s", wrong, text)
		}
	}
}

// The image is that of the version on top of the changelog.
func TestVersion(t *testing.T) {
	log, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "ghcr.io/trestle-cni/trestle:" + regexp.MustCompile(`(?m)^## (v\S+)`).FindStringSubmatch(string(log))[1]
	for overlay, values := range ways {
		made, err := helmed(values)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{made, kustomized(t, overlay)} {
			if n := strings.Count(text, "image: "); n != strings.Count(text, "image: "+want+"\n") || n < 2 {
				t.Errorf("%s: want %s alone in\n%s", overlay, want, text)
			}
		}
	}
}
