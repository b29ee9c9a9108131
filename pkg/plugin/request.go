package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Request is one call, checked as far as every plugin needs it checked.
type Request struct {
	Command     string // ADD, DEL, CHECK, GC, STATUS, or one of our own
	ContainerID string // ADD, DEL and CHECK; the same holds for the next three
	Netns       string // may be empty on DEL
	IfName      string
	Args        map[string]string // CNI_ARGS, as far as it can be read; nil for a plugin that does not read it
	Path        []string          // CNI_PATH
	Override    bool              // CNI_NETNS_OVERRIDE: the host's own namespace may be given

	Network string // the configuration's name
	Version string // the configuration's cniVersion
	Config  []byte // standard input, unchanged
	Keys    *keys.Object

	Plugin  string            // the plugin's name
	Environ map[string]string // the whole environment, for a delegate
	Streams Streams

	bundle  Bundle   // the plugins that this binary holds
	sandbox *sandbox // once it was looked at
	printed []byte   // the result of an ADD
}

// Logf writes a line for the operator to standard error, which runtimes keep in their log.
func (r *Request) Logf(format string, args ...any) {
	fmt.Fprintf(r.Streams.Err, "trestle %s: %s\n", r.Plugin, harmless(fmt.Sprintf(format, args...)))
}

// newRequest reads the environment and the configuration, in the order and with the codes of the reference's skeleton. Where the
// error comes after the version was read, the request is returned beside it.
func newRequest(p Plugin, env map[string]string, s Streams) (*Request, error) {
	r := &Request{
		Command: env["CNI_COMMAND"], ContainerID: env["CNI_CONTAINERID"], Netns: env["CNI_NETNS"], IfName: env["CNI_IFNAME"],
		Override: env["CNI_NETNS_OVERRIDE"] == "1" || strings.EqualFold(env["CNI_NETNS_OVERRIDE"], "true"),
		Plugin:   p.Name, Environ: env, Streams: s, Version: Current,
	}
	if path := env["CNI_PATH"]; path != "" {
		r.Path = strings.Split(path, ":")
	}
	if err := r.checkEnvironment(); err != nil {
		return nil, err
	}
	config, err := plainfile.All(s.In)
	if err != nil {
		return nil, fault.New(fault.IO, "", "standard input: %w", err)
	}
	r.Config = config
	if r.Keys, err = keys.Parse(config); err != nil {
		return nil, err
	}
	if err := r.readHeader(p.Versions); err != nil {
		return r, err
	}
	if r.Command == "GC" || r.Command == CollectPart { // before any plugin of a list removes anything
		if _, err := r.ValidAttachments(); err != nil {
			return r, err
		}
	}
	if !p.Args {
		return r, nil
	}
	if r.Args, err = parseArgs(env["CNI_ARGS"]); r.Command != "ADD" { // what lives was made with them
		err = nil
	}
	return r, err
}

// required lists, in the order of the specification, what a verb cannot do without.
var required = []struct{ variable, verbs string }{
	{"CNI_CONTAINERID", "ADD DEL CHECK REPAIR"},
	{"CNI_NETNS", "ADD CHECK REPAIR"},
	{"CNI_IFNAME", "ADD DEL CHECK REPAIR"},
	{"CNI_PATH", "ADD DEL CHECK GC STATUS"},
}

func (r *Request) checkEnvironment() error {
	switch r.Command {
	case "ADD", "DEL", "CHECK", "GC", "STATUS", "REPAIR", Part, CollectPart:
	default:
		return fault.New(fault.Environment, "use ADD, DEL, CHECK, GC, STATUS or VERSION", "CNI_COMMAND: %q: unknown command", r.Command)
	}
	if err := r.checkNames(); err != nil && (r.Command == "DEL" || r.Command == Part) {
		r.Logf("DEL goes on in spite of: %v", err) // whatever an ADD once took, or refused
	} else if err != nil {
		return err
	}
	var missing []string
	for _, q := range required {
		if r.Environ[q.variable] == "" && strings.Contains(q.verbs, r.Command) {
			missing = append(missing, q.variable)
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.Environment, "set them as the CNI specification says", "environment: %s: missing", strings.Join(missing, ", "))
	}
	return nil
}

// checkNames refuses names that no attachment can have. Of an interface, an ADD takes only what can be read back wherever it is written down; the
// other verbs take what the reference may have made.
func (r *Request) checkNames() error {
	if r.Command == "GC" || r.Command == "STATUS" {
		return nil
	}
	if r.ContainerID != "" && !owner.ValidName(r.ContainerID) {
		return fault.New(fault.Environment, "use letters, digits, _ . and -, a letter or digit first",
			"CNI_CONTAINERID: %.100q: not a container ID", r.ContainerID)
	}
	valid := possibleLinkName
	if r.Command == "ADD" {
		valid = ValidLinkName
	}
	if r.IfName != "" && !valid(r.IfName) {
		return fault.New(fault.Environment, "use "+LinkNameRule, "CNI_IFNAME: %.100q: not an interface name", r.IfName)
	}
	return nil
}

// readHeader reads what every configuration has: a name and a version.
func (r *Request) readHeader(supported []string) error {
	name := r.Keys.String("name", "")
	version := r.Keys.String("cniVersion", "")
	if err := r.Keys.Err(); err != nil {
		return fault.New(fault.Decoding, "", "configuration: %w", err)
	}
	switch {
	case name == "":
		return fault.New(fault.Config, "give the network a name", "name: missing")
	case !owner.ValidName(name):
		return fault.New(fault.Config, "use letters, digits, _ . and -, a letter or digit first", "name: %q: not a network name", name)
	}
	r.Network = name
	if version == "" {
		version = "0.1.0"
	}
	return r.checkVersion(version, supported)
}

// PrevResult returns the result of the plugins before this one, nil when there is none. On DEL one that cannot be read is none.
func (r *Request) PrevResult() (*types100.Result, error) {
	raw := r.Keys.Raw("prevResult")
	if raw == nil {
		return nil, nil
	}
	result, err := ParseResult(raw, r.Version)
	if err != nil {
		return nil, fault.New(fault.Decoding, "pass the result of the last ADD", "prevResult: %w", err)
	}
	return result, nil
}

// Print writes the result of an ADD in the configuration's version. It fails before writing anything where that version cannot
// express the result.
func (r *Request) Print(result *types100.Result) error {
	text, err := r.text(result)
	if err != nil {
		return err
	}
	return r.PassOn(text)
}

// text is a result in the configuration's version.
func (r *Request) text(result *types100.Result) ([]byte, error) {
	var converted types.Result
	converted, err := result.GetAsVersion(r.Version)
	if current, ok := converted.(*types100.Result); ok {
		if text, ok := encode(current); ok {
			return text, nil
		}
	}
	var text bytes.Buffer
	if err == nil {
		err = converted.PrintTo(&text)
	}
	if err != nil {
		return nil, fault.New(fault.Version, "use cniVersion 0.3.0 or later", "result: cniVersion %s cannot express it: %w", r.Version, err)
	}
	return text.Bytes(), nil
}

// PassOn writes what another plugin printed as the result of an ADD in the configuration's version.
func (r *Request) PassOn(result []byte) error {
	r.printed = result
	if _, err := r.Streams.Out.Write(result); err != nil {
		return fault.New(fault.IO, "", "standard output: %w", err)
	}
	return nil
}

// printError is the one place where an error becomes JSON.
func printError(out io.Writer, version string, err error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "    ")
	encoder.SetEscapeHTML(false) // an operator reads it
	_ = encoder.Encode(struct {  // the exit status says that there was an error, too
		Version string `json:"cniVersion"`
		Code    uint   `json:"code"`
		Msg     string `json:"msg"`
		Details string `json:"details,omitempty"`
	}{version, fault.Code(err), shown(err), fault.Hint(err)})
	_, _ = out.Write(keys.Plain(text.Bytes()))
}

// mostShown is how much of an error is printed, in bytes, where there is more of its kind: whoever started a container is shown 1024 of all (an event
// of Kubernetes), in which the runtime has its own words before ours, and the remedy comes last.
const mostShown = 600

// shown is the error's text: of many complaints about a configuration the first.
func shown(err error) string {
	text := err.Error()
	if fault.Code(err) != fault.Config || len(text) <= mostShown {
		return text
	}
	if end := strings.LastIndex(text[:mostShown], "; "); end > 0 {
		return text[:end] + "; and more, see trestle lint"
	}
	return text
}
