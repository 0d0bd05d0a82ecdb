package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// component is a child process that holds one part of the cluster.  It ends when
// its standard input does, so it outlives the supervisor in no case; each line
// there is an order.
type component struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	done   chan struct{}
	err    error // valid when done is closed
}

// startComponent starts this program under another name; files are its
// descriptors from 3 on.
func startComponent(name string, o options, files ...*os.File) (*component, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{name, string(data)}
	log, err := os.OpenFile(o.path(logFileName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is for the supervisor alone
	c := &component{cmd: cmd, done: make(chan struct{})}
	if c.orders, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		if c.err = cmd.Wait(); c.err == nil {
			c.err = errors.New("exit status 0")
		}
		c.err = fmt.Errorf("%s ended (%w), see the end of %s", name, c.err, log.Name())
		close(c.done)
	}()
	return c, nil
}

// stop asks the component to end, and makes it end after the grace time.
func (c *component) stop(grace time.Duration) {
	c.orders.Close()
	select {
	case <-c.done:
	case <-time.After(grace):
		c.cmd.Process.Kill()
		<-c.done
	}
}

// runComponent is the main function of a component.
func runComponent(run func(ctx context.Context, o options, orders <-chan string) error) {
	var o options
	if len(os.Args) != 2 || json.Unmarshal([]byte(os.Args[1]), &o) != nil {
		fmt.Fprintf(os.Stderr, "%s is a part of a running testbed, not a command\n", os.Args[0])
		os.Exit(2)
	}
	setVerbosity(o.Verbosity)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	orders := make(chan string)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
		cancel()
		// The supervisor would not wait longer either, if it is still there.
		time.AfterFunc(20*time.Second, func() { os.Exit(1) })
	}()
	if err := run(ctx, o, orders); err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}

func setVerbosity(level string) {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	fs.Set("v", level)
}
