package procfile

import "golang.org/x/sys/unix"

// Settings opens a /proc/sys that nobody else has looked at, to be closed. In the one that all share the kernel keeps the settings of every network
// namespace side by side under one name, and compares its way past all of them (proc_sys_compare in fs/proc/proc_sysctl.c): a millisecond at a thousand
// containers, where this is a tenth at any number. Which namespace's settings are seen is the thread's at each opening, as in the shared one, and that
// is what is opened where /proc/sys was mounted for reading alone, which is somebody's will, or no mount can be made (a user namespace that hides parts of /proc).
func Settings() (int, error) {
	if !readOnly("/proc/sys") {
		if proc, err := mount("proc", 0); err == nil {
			defer unix.Close(proc)
			if sys, err := unix.Openat(proc, "sys", howDirectory, 0); err == nil {
				return sys, nil
			}
		}
	}
	return unix.Open("/proc/sys", howDirectory, 0)
}

const howDirectory = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

func readOnly(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Flags&unix.ST_RDONLY != 0
}

// mount makes a filesystem that is attached nowhere, and ends with its last descriptor.
func mount(kind string, attributes int) (int, error) {
	context, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}
