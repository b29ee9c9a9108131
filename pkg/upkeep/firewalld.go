package upkeep

import (
	"context"
	"os"

	"github.com/trestle-cni/trestle/pkg/kernel/dbus"
)

// awaitFirewalld has the plugins asked each time that firewalld has reloaded, or was started or stopped: it forgets what it was told of addresses, and with an iptables
// of its own it flushes. It ends with the bus, and without one; the next repair begins it again.
func (w *watch) awaitFirewalld(ctx context.Context) {
	if _, err := os.Stat(dbus.Socket); err != nil {
		return
	}
	conn, err := dbus.Open(context.WithoutCancel(ctx)) // whose time is not limited
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	for _, rule := range []string{
		"type='signal',interface='org.fedoraproject.FirewallD1',member='Reloaded'",
		"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.fedoraproject.FirewallD1'",
	} {
		if err := conn.Match(rule); err != nil {
			return
		}
	}
	for conn.Signal() == nil {
		w.ask("firewalld was reloaded, started or stopped")
	}
}
