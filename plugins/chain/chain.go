// Package chain is the plugin trestle: the plugins of a whole conflist as one plugin, run one after the other in one process.
//
// Its configuration holds "plugins", entries as in a conflist. What the runtime would do between plugins (name, version, prevResult,
// runtimeConfig by capability) is done here, so an attachment made by the flat conflist can be checked and deleted by this form and back.
package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Name is the plugin's type.
const Name = "trestle"

// Plugin is the chain. What its entries name is taken from the bundle that it is called in, and what is not there from CNI_PATH.
func Plugin() plugin.Plugin {
	return plugin.Plugin{Name: Name, Add: add, Del: del, Check: check, GC: gc, Status: status, Repair: repair,
		Parse: func(r *plugin.Request) error { _, err := parse(r); return err }}
}

// add runs ADD down the list, each with the result of the one before. Where one fails it has undone its own work, and those before it are
// deleted.
func add(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	c.hasten(req)
	result := req.Keys.Raw("prevResult")
	var done []link
	for _, l := range c.links {
		next, err := c.call(ctx, req, l, "ADD", result)
		if err != nil {
			return fault.Join(fmt.Errorf("plugin %w", err), c.takeBack(ctx, req, done, nil))
		}
		result = next
		done = append(done, l)
	}
	if err := req.PassOn(result); err != nil {
		return fault.Join(err, c.takeBack(ctx, req, done, result))
	}
	return nil
}

// takeBack is the DEL of an ADD that failed.
func (c config) takeBack(ctx context.Context, req *plugin.Request, done []link, result json.RawMessage) error {
	ctx, stop := deadline.Undoing(ctx)
	defer stop()
	return c.delete(ctx, req, done, result)
}

// del runs DEL up the list. One plugin's trouble is no reason to leave the others' work behind, since each of this binary removes the rules of all before it
// gives an address back. Where some are of other binaries, what could not be removed may be for that address: it ends at the first trouble, as a runtime does.
func del(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		req.Logf("DEL goes on in spite of: %v", err)
	}
	return c.delete(ctx, req, c.everything(req), req.Keys.Raw("prevResult"))
}

func (c config) delete(ctx context.Context, req *plugin.Request, links []link, result json.RawMessage) error {
	var errs []error
	for _, l := range slices.Backward(links) {
		if missing := req.Finds(l.kind); missing != nil && result == nil && !req.Bundled(l.kind) {
			req.Logf("DEL goes on in spite of: %v", missing) // no ADD is known to have got past it
			continue
		}
		_, err := c.call(ctx, req, l, "DEL", result)
		if errs = append(errs, err); err != nil && slices.ContainsFunc(links, func(l link) bool { return !req.Bundled(l.kind) }) {
			break
		}
	}
	return fault.Join(errs...)
}

// check runs CHECK down the list with the final result, and reports what each finds.
func check(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	return c.each(ctx, req, "CHECK", req.Keys.Raw("prevResult"))
}

// repair runs REPAIR down the list with the final result, and again where something is still missed: what an earlier plugin made may be in the hands of a later
// one, which has made it again by then (a table of routes). Plugins that are not of this binary do not know the verb, and are left out.
func repair(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	c.links = slices.DeleteFunc(c.links, func(l link) bool { return !req.Bundled(l.kind) })
	err = c.each(ctx, req, "REPAIR", req.Keys.Raw("prevResult"))
	if drift, _ := fault.Split(err, fault.Drift); drift != nil && len(c.links) > 1 {
		err = c.each(ctx, req, "REPAIR", req.Keys.Raw("prevResult"))
	}
	return err
}

// gc runs GC down the list, so that the ground goes with those who stand on it last. Without a list of the valid it goes up: what a dead container's address was let do
// goes before the address, whose reservation may be all that proves the container dead.
func gc(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	valid, err := req.ValidAttachments()
	if err != nil {
		return err
	}
	c.links = c.everything(req)
	if !valid.Known {
		c.links = slices.Clone(c.links)
		slices.Reverse(c.links)
	}
	return c.each(ctx, req, "GC", nil)
}

// status says whether every plugin of the list could serve an ADD, capabilities included.
func status(ctx context.Context, req *plugin.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	return c.each(ctx, req, "STATUS", nil)
}

func (c config) each(ctx context.Context, req *plugin.Request, command string, result json.RawMessage) error {
	var errs []error
	for _, l := range c.links {
		if ctx.Err() != nil {
			return fault.Join(append(errs, ctx.Err())...)
		}
		_, err := c.call(ctx, req, l, command, result)
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}
