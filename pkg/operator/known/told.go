package known

import (
	"encoding/json"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
)

// Setting is something that a plugin was asked to do to the interface.
type Setting struct{ By, Name, Value string }

// SettingsOf are what the entry asks for, in the order of the table; what the runtime told by a capability, where the entry itself says nothing.
func SettingsOf(entry *conflist.Node, capabilities map[string]json.RawMessage) (list []Setting) {
	p := Of(Type(entry))
	for _, from := range []*conflist.Node{entry, entry.Get("args").Get("cni")} {
		list = append(list, p.settings(from)...)
	}
	if len(list) == 0 && p.Told != "" {
		list = p.settings(conflist.Parse(p.Told, capabilities[p.Told]).Root)
	}
	return list
}

func (p Plugin) settings(from *conflist.Node) (list []Setting) {
	for _, key := range p.Tells {
		value := from.Get(key)
		switch {
		case value == nil || value.Kind == conflist.Null || value.Kind == conflist.String && value.Text == "":
		case len(value.Members) > 0:
			for _, m := range value.Members {
				list = append(list, Setting{p.Name, key + " " + m.Key, m.Value.Text})
			}
		case len(value.Items) > 0:
			var texts []string
			for _, item := range value.Items {
				texts = append(texts, item.Text)
			}
			list = append(list, Setting{p.Name, key, strings.Join(texts, " ")})
		default:
			list = append(list, Setting{p.Name, key, value.Text + unit(key)})
		}
	}
	return list
}

// unit is what a number of bandwidth's counts.
func unit(key string) string {
	switch {
	case strings.HasSuffix(key, "Rate"):
		return " bit/s"
	case strings.HasSuffix(key, "Burst"):
		return " bit"
	}
	return ""
}
