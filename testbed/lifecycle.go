package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// down stops the cluster of a folder and waits until it is gone.
func down(args []string) error {
	dir, err := folder("down", args)
	if err != nil {
		return err
	}
	pid, err := runningIn(dir)
	if err != nil {
		return err
	}
	syscall.Kill(pid, syscall.SIGTERM)
	gone := func() bool { return holder(filepath.Join(dir, lockFile)) != pid }
	if !until(gone, 40*time.Second) {
		syscall.Kill(pid, syscall.SIGKILL)
		if !until(gone, 5*time.Second) {
			return fmt.Errorf("process %d does not end", pid)
		}
		killPodProcesses(filepath.Join(dir, podsDir))
	}
	return nil
}

// status says what runs in a folder.
func status(args []string) error {
	dir, err := folder("status", args)
	if err != nil {
		return err
	}
	pid, err := runningIn(dir)
	if err != nil {
		fmt.Println(err)
		return exitCode(3)
	}
	port, err := os.ReadFile(filepath.Join(dir, portFile))
	if err != nil {
		return err
	}
	state := readState(dir)
	if state == "" {
		state = "starting"
	}
	fmt.Printf("cluster     running (process %d)\napi server  %s\nserver      https://127.0.0.1:%s\nkubeconfig  %s\naudit log   %s\n",
		pid, state, strings.TrimSpace(string(port)), filepath.Join(dir, adminConfig), filepath.Join(dir, auditLog))
	return nil
}

// kubeconfig prints the administrator's kubeconfig.
func kubeconfig(args []string) error {
	dir, err := folder("kubeconfig", args)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, adminConfig))
	if os.IsNotExist(err) {
		return fmt.Errorf("there is no cluster in %s", dir)
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}

// apiserver takes the control plane of a running cluster away, or brings it back.
func apiserver(args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(os.Stderr, "usage: testbed apiserver stop|start|restart --dir DIR")
		return exitCode(2)
	}
	action := args[0]
	dir, err := folder("apiserver "+action, args[1:])
	if err != nil {
		return err
	}
	pid, err := runningIn(dir)
	if err != nil {
		return err
	}
	switch action {
	case "stop":
		return order(dir, pid, stopAPIServer, "stopped")
	case "start":
		return order(dir, pid, startAPIServer, "running")
	case "restart":
		if err := order(dir, pid, stopAPIServer, "stopped"); err != nil {
			return err
		}
		return order(dir, pid, startAPIServer, "running")
	}
	return fmt.Errorf("apiserver: want stop, start or restart, not %q", action)
}

// order sends an order to the supervisor and waits until it is carried out.
func order(dir string, pid int, signal syscall.Signal, want string) error {
	before := readState(dir)
	if before == "" {
		return fmt.Errorf("the cluster in %s is still starting", dir)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return err
	}
	until(func() bool {
		state := readState(dir)
		failed := state != before && strings.HasPrefix(state, failedState)
		return state == want || failed || holder(filepath.Join(dir, lockFile)) != pid
	}, 150*time.Second)
	if state := readState(dir); state != want {
		return fmt.Errorf("the API server is not %s: %s", want, state)
	}
	return nil
}

func readState(dir string) string {
	data, _ := os.ReadFile(filepath.Join(dir, apiserverState))
	return strings.TrimSpace(string(data))
}

// runningIn is the process id of the folder's supervisor.
func runningIn(dir string) (int, error) {
	if pid := holder(filepath.Join(dir, lockFile)); pid != 0 {
		return pid, nil
	}
	return 0, fmt.Errorf("no cluster runs in %s", dir)
}

func until(done func() bool, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return done()
}
