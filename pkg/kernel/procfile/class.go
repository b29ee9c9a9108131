package procfile

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OfLink returns what sysfs says of a link of the thread's network namespace under the name, as in /sys/class/net/LINK/NAME. A sysfs shows the links of
// the namespace in which it was mounted, which may be another: so the link's index and Ethernet address are compared and, where they differ, a sysfs
// of the own namespace is made, which nobody else sees.
func OfLink(link string, index int, mac, name string) (string, error) {
	if word("/sys/class/net/"+link+"/ifindex") == strconv.Itoa(index) && word("/sys/class/net/"+link+"/address") == mac {
		text, err := Read("/sys/class/net/" + link + "/" + name)
		return strings.TrimSpace(string(text)), err
	}
	dir, err := mountSysfs()
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	text, err := ReadIn(dir, "class/net/"+link+"/"+name)
	return strings.TrimSpace(string(text)), err
}

func word(path string) string {
	text, _ := Read(path) // what cannot be read is not what is looked for
	return strings.TrimSpace(string(text))
}

// mountSysfs makes a sysfs of the thread's network namespace.
func mountSysfs() (int, error) { return mount("sysfs", unix.MOUNT_ATTR_RDONLY) }
