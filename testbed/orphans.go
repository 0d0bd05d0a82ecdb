package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// podDirVariable marks every process that descends from a container's: it holds
// the pod's folder.
const podDirVariable = "POD_DIR"

// killPodProcesses ends whatever still runs with a pod folder at or below dir in
// its environment: children that left their process group, and what a node left
// that was killed itself.
func killPodProcesses(dir string) {
	for range 20 {
		pids := podProcesses(dir)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func podProcesses(dir string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err != nil {
			continue // another user's, or gone
		}
		for entry := range bytes.SplitSeq(environ, []byte{0}) {
			value, ok := bytes.CutPrefix(entry, []byte(podDirVariable+"="))
			if !ok {
				continue
			}
			if rest, ok := bytes.CutPrefix(value, []byte(dir)); ok && (len(rest) == 0 || rest[0] == '/') {
				if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}
