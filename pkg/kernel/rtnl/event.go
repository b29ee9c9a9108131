package rtnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Events is a subscription to what happens to the links or addresses of a namespace.
type Events struct{ file *os.File }

// The groups that Watch takes, enum rtnetlink_groups of include/uapi/linux/rtnetlink.h.
const (
	Links    = unix.RTNLGRP_LINK
	IPv6Addr = unix.RTNLGRP_IPV6_IFADDR
)

// Watch subscribes to one group in the calling thread's network namespace. Subscribe before you look: what changes after the look then
// wakes Await.
func Watch(group uint) (*Events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink events: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (group - 1)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("rtnetlink events: %w", err)
	}
	return &Events{file: os.NewFile(uintptr(fd), "rtnetlink events")}, nil
}

// Close ends the subscription.
func (e *Events) Close() { e.file.Close() }

// Await calls look, and again after each event, until look says true or fails. When ctx ends first, the error is ctx's.
func (e *Events) Await(ctx context.Context, look func() (bool, error)) error {
	stop := context.AfterFunc(ctx, func() { _ = e.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		done, err := look()
		if done || err != nil {
			return err
		}
		err = e.next()
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case err != nil:
			return err
		}
	}
}

// next waits for any event; what it says does not matter, since the caller looks again. Events lost because too many came (ENOBUFS)
// count as one.
func (e *Events) next() error {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	var received error
	var buffer [8192]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, received = unix.Recvfrom(int(fd), buffer[:], 0)
		return !errors.Is(received, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	if received != nil && !errors.Is(received, unix.ENOBUFS) && !errors.Is(received, unix.EINTR) {
		return received
	}
	return nil
}
