package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// container runs one container's command, again and again if it has to.
type container struct {
	pod   *podRunner
	spec  *v1.Container
	init  bool
	ended atomic.Bool // will not run again

	mu       sync.Mutex
	state    v1.ContainerState
	last     v1.ContainerState
	restarts int32
	started  bool // its startup probe has passed
	ready    bool
	running  *process
	execs    map[*exec.Cmd]bool // what "kubectl exec" started
}

// process is one run of a container's command.
type process struct {
	stdin io.WriteCloser // nil unless the container asks for one
	tty   *os.File       // nil unless the container has a terminal
	out   *fanout
	err   *fanout
	done  chan struct{}

	unhealthy chan struct{} // closed when a probe gave it up
}

func newContainer(r *podRunner, spec *v1.Container, init bool) *container {
	c := &container{pod: r, spec: spec, init: init, execs: map[*exec.Cmd]bool{}}
	reason := "ContainerCreating"
	if !init && len(r.pod.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	c.state.Waiting = &v1.ContainerStateWaiting{Reason: reason}
	return c
}

func (c *container) logPath(restart int32) string {
	return filepath.Join(c.pod.dir, "logs", fmt.Sprintf("%s.%d.log", c.spec.Name, restart))
}

// run runs the command until the policy says that it should not run again or the pod stops.
func (c *container) run(policy v1.RestartPolicy) {
	defer c.pod.report()
	defer c.ended.Store(true)
	if c.entrypoint() == nil {
		c.waitForImage()
		return
	}
	for delay := time.Second; ; delay = min(2*delay, 20*time.Second) {
		began := time.Now()
		code, reason, message := c.runOnce()
		terminated := &v1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason, Message: message,
			StartedAt: metav1.NewTime(began), FinishedAt: metav1.Now(), ContainerID: c.id()}
		c.mu.Lock()
		c.running, c.started, c.ready = nil, false, false
		c.state = v1.ContainerState{Terminated: terminated}
		c.mu.Unlock()
		if c.pod.ctx.Err() != nil || policy == v1.RestartPolicyNever || policy == v1.RestartPolicyOnFailure && code == 0 {
			return
		}
		c.pod.report()
		if time.Since(began) > time.Minute {
			delay = time.Second
		}
		c.mu.Lock()
		c.last = c.state
		c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
			Message: fmt.Sprintf("starts again in %s", delay)}}
		c.mu.Unlock()
		c.event(v1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s, exit code %d %s", c.spec.Name, code, message)
		c.pod.report()
		if !c.pod.sleep(delay) {
			c.mu.Lock()
			c.state = c.last
			c.mu.Unlock()
			return
		}
		c.mu.Lock()
		c.restarts++
		c.mu.Unlock()
	}
}

// entrypoint is what the container runs: its command, or that of its image.
func (c *container) entrypoint() []string {
	if len(c.spec.Command) > 0 {
		return c.spec.Command
	}
	return c.pod.node.images.entrypoint(c.spec.Image)
}

// waitForImage is the fate of a container without a command whose image is not in
// the table: as with an image that cannot be pulled, the pod waits until it is deleted.
func (c *container) waitForImage() {
	message := fmt.Sprintf("this node has no image %q: it runs commands, and images named by testbed up --image NAME=COMMAND", c.spec.Image)
	c.mu.Lock()
	c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "ErrImagePull", Message: message}}
	c.mu.Unlock()
	c.event(v1.EventTypeWarning, "Failed", "Error: ErrImagePull: %s", message)
	c.pod.report()
	<-c.pod.ctx.Done()
}

// runOnce runs the command once, to its end.
func (c *container) runOnce() (code int, reason, message string) {
	argv := append(append([]string{}, c.entrypoint()...), c.spec.Args...)
	cmd, err := c.command(context.Background(), argv, true)
	if err != nil {
		return 128, "StartError", err.Error()
	}
	logs, err := openLog(c.logPath(c.restarts))
	if err != nil {
		return 128, "StartError", err.Error()
	}
	defer logs.Close()
	p := &process{out: newFanout(logs.stream("stdout")), err: newFanout(logs.stream("stderr")),
		done: make(chan struct{}), unhealthy: make(chan struct{})}
	defer close(p.done)
	var copies sync.WaitGroup
	if c.spec.TTY {
		if p.tty, err = pty.Start(cmd); err != nil {
			return 128, "StartError", err.Error()
		}
		defer p.tty.Close()
		p.stdin = p.tty
		copies.Go(func() { io.Copy(p.out, p.tty) })
	} else {
		stdout, err1 := cmd.StdoutPipe()
		stderr, err2 := cmd.StderrPipe()
		if c.spec.Stdin {
			p.stdin, err = cmd.StdinPipe()
		}
		if err = errors.Join(err, err1, err2); err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return 128, "StartError", err.Error()
		}
		copies.Go(func() { io.Copy(p.out, stdout) })
		copies.Go(func() { io.Copy(p.err, stderr) })
		defer stdout.Close()
		defer stderr.Close()
	}
	c.mu.Lock()
	c.running = p
	c.state = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}}
	c.started = c.spec.StartupProbe == nil
	c.ready = c.started && c.spec.ReadinessProbe == nil
	c.mu.Unlock()
	c.event(v1.EventTypeNormal, "Started", "Container started: process %d", cmd.Process.Pid)
	c.pod.report()
	go c.watchProbes(p)

	ended := make(chan struct{})
	go func() {
		// cmd.Process.Wait, not cmd.Wait: the pipes are read to their end first.
		select {
		case <-ended:
		case <-c.pod.ctx.Done():
			c.event(v1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
			terminate(cmd, time.Duration(c.pod.grace.Load()), ended)
		case <-p.unhealthy:
			terminate(cmd, c.pod.gracePeriod(), ended)
		}
	}()
	state, err := cmd.Process.Wait()
	close(ended)
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // a container's processes end with its first one
	c.killExecs()
	copied := make(chan struct{})
	go func() { copies.Wait(); close(copied) }()
	select {
	case <-copied:
	case <-time.After(2 * time.Second): // a process that left the group keeps the output open
	}
	if err != nil {
		return 128, "Error", err.Error()
	}
	code = exitStatus(state)
	if code != 0 {
		return code, "Error", ""
	}
	return 0, "Completed", ""
}

// command prepares a process with the container's environment and folder, as
// leader of a process group that ends when this process ends.  expand is for the
// container's own command, in which $(NAME) stands for a variable.
func (c *container) command(ctx context.Context, argv []string, expand bool) (*exec.Cmd, error) {
	if len(argv) == 0 {
		return nil, errors.New("no command")
	}
	vars, err := c.env()
	if err != nil {
		return nil, err
	}
	if expand {
		for i, a := range argv {
			argv[i] = expansion.Expand(a, expansion.MappingFuncFor(vars))
		}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	for k, v := range vars {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Dir = filepath.Join(c.pod.dir, "work")
	if info, err := os.Stat(c.spec.WorkingDir); err == nil && info.IsDir() {
		cmd.Dir = c.spec.WorkingDir
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if len(c.spec.VolumeMounts) > 0 && c.pod.node.mounts {
		root, err := c.pod.mkdir("root")
		if err != nil {
			return nil, err
		}
		spec := mountSpec{Root: root, Dir: cmd.Dir, Mounts: map[string]string{}}
		for _, m := range c.spec.VolumeMounts {
			spec.Mounts[m.MountPath] = c.pod.volumePath(m)
		}
		withMounts(cmd, spec)
	}
	return cmd, nil
}

// terminate ends a process group: SIGTERM, and SIGKILL after the grace time.
func terminate(cmd *exec.Cmd, grace time.Duration, ended <-chan struct{}) {
	if grace > 0 {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
			return
		case <-time.After(grace):
		}
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

func exitStatus(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

func (c *container) killExecs() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cmd := range c.execs {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (c *container) current() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

func (c *container) exitCode() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Terminated != nil {
		return c.state.Terminated.ExitCode
	}
	return -1
}

func (c *container) id() string { return fmt.Sprintf("process://%s/%s", c.pod.pod.UID, c.spec.Name) }

func (c *container) status() v1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	started, ready := c.started, c.ready
	if c.init && c.state.Terminated != nil && c.state.Terminated.ExitCode == 0 {
		ready = true
	}
	return v1.ContainerStatus{Name: c.spec.Name, State: c.state, LastTerminationState: c.last, Ready: ready, Started: &started,
		RestartCount: c.restarts, Image: c.spec.Image, ImageID: "process", ContainerID: c.id()}
}

// fanout writes to the log and to everyone who is attached.
type fanout struct {
	mu      sync.Mutex
	log     io.Writer
	writers map[io.Writer]bool
}

func newFanout(log io.Writer) *fanout { return &fanout{log: log, writers: map[io.Writer]bool{}} }

func (f *fanout) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log.Write(b)
	for w := range f.writers {
		if _, err := w.Write(b); err != nil {
			delete(f.writers, w)
		}
	}
	return len(b), nil
}

func (f *fanout) add(w io.Writer) {
	f.mu.Lock()
	f.writers[w] = true
	f.mu.Unlock()
}

func (f *fanout) drop(w io.Writer) {
	f.mu.Lock()
	delete(f.writers, w)
	f.mu.Unlock()
}

// logFile is a container log in the format of the container runtime interface.
type logFile struct {
	mu sync.Mutex
	f  *os.File
}

func openLog(path string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	return &logFile{f: f}, err
}

func (l *logFile) Close() error { return l.f.Close() }

func (l *logFile) stream(name string) io.Writer { return &logStream{l, name} }

type logStream struct {
	*logFile
	name string
}

func (s *logStream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
	var out bytes.Buffer
	for line := range bytes.Lines(b) {
		tag := "F"
		if line[len(line)-1] != '\n' {
			tag = "P" // the rest comes with a later write
			line = append(bytes.Clone(line), '\n')
		}
		fmt.Fprintf(&out, "%s %s %s %s", now, s.name, tag, line)
	}
	if _, err := s.f.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}
