package doctor

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plan"
)

func leftoverChecks() []Check {
	return []Check{
		{"leaked-link", Warning, "its container is dead; the link stays, and a new container may be refused its name",
			func(p *Picture) []Finding { return p.leaked(true) }, nil},
		{"device-stranded", Warning, "a device of the host's is back without its name, state and addresses, and nobody looks for it under another",
			(*Picture).strays, nil},
		{"leaked-rules", Warning, "rules of a dead container may lead a port to whoever gets its address next, or let him pass",
			func(p *Picture) []Finding { return p.leaked(false) }, nil},
		{"leaked-address", Warning, "an address that nobody uses is not given out", (*Picture).deadReservations, []string{"leaked-link", "device-stranded"}},
		{"reservation-nobody", Warning, "a crash or a full disk left it; the reference's host-local never gives the address out again",
			(*Picture).nobodys, nil},
		{"half-made", Warning, "an ADD that was killed, or a DEL", (*Picture).halves, nil},
		{"result-torn", Warning, "without what the runtime remembered, nothing of the attachment can be checked or repaired",
			(*Picture).tornResults, nil},
		{"netns-stale", Warning, "a name in the directory of namespaces that is none: it misleads tools, and a runtime may not be able to use it",
			(*Picture).staleNames, nil},
		{"unseen", Warning, "what is not looked at may be wrong, and doctor says nothing of it", (*Picture).unseen, nil},
		{"drift", Error, "something is not as ADD made it",
			(*Picture).drift, []string{"rules-gone", "forwarding-ipv4", "forwarding-ipv6", "bridge-gone", "bridge-down", "link-down",
				"interface-down", "parent-down", "port-detached", "gateway-missing", "mtu-pair", "default-route-missing", "address-twice", "mac-twice", "route-localnet",
				"ipv6-disabled", "port-taken", "result-torn", "reservation-nobody", "half-made", "ra-lost", "lease-not-renewed"}},
	}
}

// leaked tells what is left of the dead: with a link, or without.
func (p *Picture) leaked(link bool) (found []Finding) {
	for _, a := range p.Host.Attachments {
		if a.Relic != "" && !link {
			found = append(found, Finding{Object: name(a), What: "rules of ours are left of an earlier attachment of that name, which another suite of plugins deleted; its link " +
				a.Relic + " is gone", Remedy: "trestle gc --yes", Fix: &Fix{Kind: Collect}})
		}
		if a.State != observe.Leaked || (a.HostLink != "") != link || !link && !a.Ruled {
			continue
		}
		f := Finding{Object: name(a), What: "rules are left of a container that is dead", Remedy: "trestle gc --yes", Fix: &Fix{Kind: Collect}}
		if l := p.Host.Link(a.HostLink); l != nil {
			f.Object, f.What = "link "+l.Name, "it is left of "+name(a)+", which is dead"
			f.Remedy, f.Fix = "ip link delete "+l.Name+"; trestle gc --yes", &Fix{Kind: Collect, Name: l.Name}
		}
		for _, why := range a.Why {
			f.What += "; " + why
		}
		found = append(found, f)
	}
	return found
}

// strays tells of devices that the kernel brought back, as their container's network namespace ended.
func (p *Picture) strays() (found []Finding) {
	for _, a := range p.Host.Attachments {
		if l := p.Host.Link(a.Stranded); l != nil && a.State == observe.Leaked {
			found = append(found, Finding{Object: "link " + l.Name, What: name(a) + ": " + strings.Join(a.Why, "; "), Remedy: "trestle gc --yes", Fix: &Fix{Kind: Collect}})
		}
	}
	return found
}

func (p *Picture) deadReservations() (found []Finding) {
	for _, r := range p.Host.Reservations {
		if r.Dead != "" {
			found = append(found, Finding{Object: "address " + r.ID,
				What:   fmt.Sprintf("%s is kept for %s %s, which is dead: %s", r.Address, r.ContainerID, r.IfName, r.Dead),
				Remedy: "trestle gc --yes", Fix: &Fix{Kind: Collect}})
		}
	}
	return found
}

func (p *Picture) nobodys() (found []Finding) {
	for _, r := range p.Host.Reservations {
		if r.ContainerID == "" && r.Unread == "" {
			found = append(found, Finding{Object: "address " + r.ID, What: fmt.Sprintf("the reservation of %s names nobody", r.Address),
				Remedy: fmt.Sprintf("rm /var/lib/cni/networks/%s (or where host-local's dataDir is)", r.ID)})
		}
	}
	return found
}

func (p *Picture) halves() (found []Finding) {
	for _, a := range p.Host.Attachments {
		if a.State == observe.Half {
			f := Finding{Object: name(a), What: "half of an attachment", Remedy: "delete the container; trestle gc --yes, when it is gone"}
			for _, why := range a.Why {
				f.What += "; " + why
			}
			found = append(found, f)
		}
	}
	return found
}

func (p *Picture) tornResults() (found []Finding) {
	for _, torn := range p.Torn {
		found = append(found, Finding{Object: "result", What: torn, Remedy: "delete that container and add it again; then remove the file"})
	}
	return found
}

func (p *Picture) staleNames() (found []Finding) {
	for _, path := range p.Stale {
		found = append(found, Finding{Object: path, What: "it is no namespace", Remedy: "rm " + path, Fix: &Fix{Kind: RemoveFile, Name: path}})
	}
	return found
}

// drift is what CHECK names and no other check explains.
func (p *Picture) drift() (found []Finding) {
	for _, a := range p.living() {
		if complaint(a) == "" {
			continue
		}
		f := Finding{Object: name(a), What: complaint(a), Remedy: "delete the container and add it again",
			cause: impersonal(a, a.Why[0]), about: []*observe.Attachment{a}}
		if a.Remedy == plan.Repairable {
			f.Remedy, f.Fix = plan.Repairable, &Fix{Kind: Repair}
		}
		found = append(found, f)
	}
	return found
}

// impersonal is a complaint without what is the attachment's own, and without which plugin made it: what is left tells a cause.
func impersonal(a *observe.Attachment, text string) string {
	if _, after, found := strings.Cut(text, "packet filter: "); found {
		text = after
	}
	own := []string{a.ID, "", a.ContainerID, ""}
	for _, ip := range addresses(a) {
		own = append(own, ip.String(), "")
	}
	if _, link, _ := strings.Cut(a.HostLink, "/host/"); link != "" {
		own = append(own, link, "")
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, strings.NewReplacer(own...).Replace(text))
}

// complaint is what CHECK names of an attachment that lives.
func complaint(a *observe.Attachment) string {
	if !a.State.Wrong() {
		return "" // what was not seen is no complaint
	}
	return strings.Join(a.Why, "; ")
}

// blind are the attachments of which not all was seen.
func (p *Picture) blind() (list []*observe.Attachment) {
	for _, a := range p.Host.Attachments {
		if a.State == observe.Unseen {
			list = append(list, a)
		}
	}
	return list
}

// unseen tells what could not be looked at. Results that cannot be read have a check of their own.
func (p *Picture) unseen() (found []Finding) {
	const remedy = "run trestle doctor as root"
	for _, problem := range p.Host.Problems {
		if problem.Object != observe.Results || problem.Hidden {
			found = append(found, Finding{Object: problem.Object, What: problem.Cause, Remedy: cmp.Or(problem.Remedy, remedy)})
		}
	}
	if blind := p.blind(); len(blind) > 0 && len(p.Torn) == 0 { // what a torn result hides is told with it
		found = append(found, Finding{Object: fmt.Sprintf("%d attachments", len(blind)), What: "not all of them could be looked at, " + name(blind[0]) +
			" for one: " + strings.Join(blind[0].Why, "; "), Remedy: remedy})
	}
	closed := 0
	var first *observe.Namespace
	for _, n := range p.Host.Namespaces {
		if n.Closed != "" && len(n.Paths) > 0 {
			closed++
			first = cmp.Or(first, n)
		}
	}
	if first != nil {
		found = append(found, Finding{Object: "namespace " + first.Name, What: fmt.Sprintf("%s (%d such namespaces)", first.Closed, closed), Remedy: remedy})
	}
	if filter := p.Host.Own().Filter; filter != nil && len(filter.Gaps) > 0 {
		found = append(found, Finding{Object: "packet filter", What: strings.Join(filter.Gaps, "; "), Remedy: remedy})
	}
	return found
}
