package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// write puts a line where the host wants it, without waiting for anybody.
func (l Log) write(line []byte) {
	if l.To == "journald" {
		send(line)
		return
	}
	file, size, err := l.open()
	if err == nil && size > l.Limit && l.turn(file) {
		file.Close()
		file, size, err = l.open()
	}
	if err != nil {
		return
	}
	defer file.Close()
	if l.stuck(size) {
		return
	}
	if n, _ := file.Write(line); n > 0 && n < len(line) {
		_, _ = file.WriteString("\n") // a disk that is full has room for a byte more often than not: the next line begins anew
	}
}

// open opens the file to append to. Nothing but a regular file is one: a pipe would wait for its reader.
func (l Log) open() (*os.File, int64, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	file, err := os.OpenFile(l.File, flags, 0o640)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = os.ErrInvalid
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// turn makes the full file the one before, once: who of many has the lock without waiting, and finds the very file still under the name. The others go
// on in the file that they have.
func (l Log) turn(file *os.File) bool {
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	own, err1 := file.Stat()
	named, err2 := os.Lstat(l.File)
	return err1 == nil && err2 == nil && os.SameFile(own, named) && os.Rename(l.File, l.File+".1") == nil
}

// stuck says of a file of that size that it cannot become the one before, or would have by now: its directory may be closed, the other name taken, or the file
// one to append to for ever (chattr +a). It has a bound all the same.
func (l Log) stuck(size int64) bool { return size-l.Limit > l.Limit }

// socket is where journald listens (systemd's "Native Journal Protocol").
const socket = "/run/systemd/journal/socket"

// send gives journald the line as its message.
func send(line []byte) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	text := append([]byte("SYSLOG_IDENTIFIER=trestle\nPRIORITY=6\nMESSAGE="), line...)
	_ = unix.Sendto(fd, text, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: socket})
}
