package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A lock is a file that is locked for as long as a process runs and that holds
// its process id.  The kernel drops the lock with the process, so a stale file
// says nothing wrong.

type heldError struct{ pid int }

func (e heldError) Error() string { return fmt.Sprintf("held by process %d", e.pid) }

// acquire takes the lock, which the caller's process keeps until it ends.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// Somebody who only asks for the holder may have it for a moment.
	locked := func() bool { err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); return err == nil }
	if !until(locked, 200*time.Millisecond) {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, heldError{readPID(path)}
		}
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return f, err
}

// holder is the process id of the lock's holder, 0 if nobody holds it.
func holder(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	return readPID(path)
}

func readPID(path string) int {
	data, _ := os.ReadFile(path)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}
