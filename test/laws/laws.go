// Package laws holds what every plugin of the suite must keep, whatever its configuration: an ADD that is undone, be it by a DEL, by a
// failure or after a kill, leaves the host as it was; a CHECK sees what is not as it was made; and the order of calls does not matter.
//
// Each law is written once, as a function that returns what breaks it. laws_test.go holds them against every configuration in the plugins'
// testdata and every network in conf/; plant_test.go shows that each law finds the fault that it is there to find.
//
// What is compared are snapshots (package snapshot) of the host and the containers, modulo the ground: what attachments share (the
// bridge, the base chains, forwarding) stays after a DEL, so another container is attached and detached before the first snapshot.
package laws

// Law is one of the laws.
type Law struct {
	Name  string
	Holds func(*World) error // says how the law is broken, nil where it is kept
	Pure  bool               // needs no kernel
}

// Laws returns the laws in the order of the design's page.
func Laws() []Law {
	return []Law{
		{Name: "1-restore", Holds: Restore},
		{Name: "2-fault", Holds: Fault},
		{Name: "3-drift", Holds: Drift},
		{Name: "4-twice", Holds: Twice},
		{Name: "5-bare", Holds: Bare},
		{Name: "6-kill", Holds: Kill},
		{Name: "7-kinds", Holds: Kinds, Pure: true},
		{Name: "8-together", Holds: Together},
		{Name: "9-fixed-point", Holds: FixedPoint, Pure: true},
		{Name: "10-mend", Holds: Mend},
		{Name: "11-living", Holds: Living},
		{Name: "12-refused", Holds: AnyRefused},
		{Name: "13-other", Holds: Other},
	}
}
