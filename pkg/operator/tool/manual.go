package tool

// Entry is one line of a manual page's section: an exit status or a file, and what it means.
type Entry struct{ Name, Meaning string }

// places are files that several commands read.
var (
	results      = Entry{"/var/lib/cni/results", "what the runtimes remember of their calls; --results says another"}
	reservations = Entry{"/var/lib/cni/networks", "the addresses that are reserved; a network's dataDir says another"}
	configs      = Entry{"/etc/cni/net.d", "the networks' configurations; in a user namespace, ~/.config/cni/net.d if that is there"}
	namespaceDir = Entry{"/run/netns, /run/docker/netns", "network namespaces that have a name"}
	binaries     = Entry{"/opt/cni/bin", "the plugins; --bin-dir says another"}
)

// wrong is the usual end of what cannot be done.
var wrong = Entry{"1", "it could not be done; standard error says why, and what to do"}

// picture is what all read that look at the host.
var picture = []Entry{results, reservations, configs, namespaceDir}

// Manual returns the sections EXIT STATUS and FILES of a command's manual page.
func Manual(command string) (statuses, files []Entry) {
	done := Entry{"0", "done"}
	shown := []Entry{{"0", "it was shown"}, wrong}
	switch command {
	case "ls", "show", "context", "graph", "top":
		return shown, picture
	case "trace":
		return []Entry{{"0", "the packet arrives, and its answer comes back"}, {"1", "it does not"},
			{"2", "it is not known: it hangs on something that is not understood, or could not be asked"}}, picture
	case "doctor":
		return []Entry{{"0", "nothing is wrong"}, {"1", "there are warnings, or the host could not be looked at"}, {"2", "there are errors"}},
			append([]Entry{binaries}, picture...)
	case "gc":
		return []Entry{{"0", "all was removed, or could be"}, {"1", "something could not be; the rest was"}}, append([]Entry{binaries}, picture...)
	case "repair":
		return []Entry{{"0", "all that lives is as it was made"}, {"1", "something is not, and is named; the rest is"}}, picture
	case "lint":
		return []Entry{{"0", "nothing is wrong, though there may be hints"}, {"1", "something is wrong, or a file could not be read"}}, []Entry{configs}
	case "install", "uninstall":
		return []Entry{done, wrong}, []Entry{binaries, {"/opt/cni/bin/.trestle-replaced", "plugins of others that ours took the place of"}}
	case "plugin":
		return []Entry{{"0", "the call succeeded; its result is on standard output"}, {"1", "it failed; standard output has the error object"}},
			[]Entry{reservations, {"/run/cni", "locks"}}
	}
	return []Entry{done, wrong}, []Entry{configs, results}
}
