package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The files of a cluster's folder that other processes read.
const (
	lockFile       = "testbed.pid"
	portFile       = "port"
	apiserverState = "apiserver.state" // starting, running, stopped, or failed and why
	adminConfig    = "admin.kubeconfig"
	auditLog       = "audit.log"
	logFileName    = "testbed.log" // of the components
)

const failedState = "failed"

// Orders of "testbed apiserver" to the supervisor.
const stopAPIServer, startAPIServer = syscall.SIGUSR1, syscall.SIGUSR2

const serviceCIDR, firstServiceIP = "10.96.0.0/16", "10.96.0.1"

// supervisor runs etcd in its own process and the two components beside it: the
// control plane, which may go away and come back, and the node, whose pods do not
// notice.
type supervisor struct {
	options
	admin        *rest.Config
	stopEtcd     func()
	controlPlane *component // nil while it is stopped
	node         *component
}

// up runs a cluster until a signal, or until one of its parts fails.
func up(args []string) error {
	o, err := parseUp(args)
	if err != nil {
		return err
	}
	setVerbosity(o.Verbosity)
	start := time.Now()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if o.WithParent {
		ctx = whileParentLives(ctx)
	}
	orders := make(chan os.Signal, 4)
	signal.Notify(orders, stopAPIServer, startAPIServer)

	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	lock, err := acquire(o.path(lockFile))
	var held heldError
	if errors.As(err, &held) {
		return fmt.Errorf("a cluster already runs in %s (process %d); stop it with: testbed down --dir %s", o.Dir, held.pid, o.Dir)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	os.Remove(o.path(apiserverState))

	s := &supervisor{options: o}
	if err := s.start(ctx); err != nil {
		s.stop()
		return err
	}
	defer s.stop()
	fmt.Printf("ready server=%s kubeconfig=%s all=%.1fs\n", s.server(), s.path(adminConfig), time.Since(start).Seconds())
	return s.supervise(ctx, orders)
}

func (s *supervisor) start(ctx context.Context) error {
	if s.PodIP == "" {
		s.PodIP = hostIP()
	}
	listener, err := s.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	p, err := s.issueCertificates()
	if err != nil {
		return err
	}
	if s.EtcdURL, s.stopEtcd, err = startEtcd(s.Dir, p); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	if s.admin, err = loadConfig(s.Dir, "admin"); err != nil {
		return err
	}
	if s.node, err = startComponent(nodeName, s.options); err != nil {
		return err
	}
	return s.startControlPlane(ctx, listener)
}

// supervise carries out orders until ctx ends.
func (s *supervisor) supervise(ctx context.Context, orders <-chan os.Signal) error {
	for {
		var controlPlaneDone chan struct{}
		if s.controlPlane != nil {
			controlPlaneDone = s.controlPlane.done
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.node.done:
			return s.node.err
		case <-controlPlaneDone:
			return s.controlPlane.err
		case order := <-orders:
			if order == stopAPIServer {
				s.stopControlPlane()
			} else if err := s.restartControlPlane(ctx); err != nil {
				s.setState(fmt.Sprintf("%s at %s: %v", failedState, time.Now().Format(time.StampMicro), err))
			}
		}
	}
}

// startControlPlane gives the control plane a socket that is open already, so
// there is no race for the port, and keeps none itself: a port whose API server is
// stopped refuses connections.
func (s *supervisor) startControlPlane(ctx context.Context, listener net.Listener) error {
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	if s.controlPlane, err = startComponent(controlPlaneName, s.options, socket); err != nil {
		return err
	}
	listener.Close()
	if err := s.waitUsable(ctx); err != nil {
		return err
	}
	return s.setState("running")
}

func (s *supervisor) stopControlPlane() {
	if s.controlPlane == nil {
		return
	}
	s.controlPlane.stop(drainTime + time.Second)
	s.controlPlane = nil
	s.setState("stopped")
}

func (s *supervisor) restartControlPlane(ctx context.Context) error {
	if s.controlPlane != nil {
		return s.setState("running")
	}
	s.setState("starting")
	listener, err := s.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := s.startControlPlane(ctx, listener); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.node.orders, resyncOrder)
	return err
}

func (s *supervisor) setState(state string) error {
	return writeFile(s.path(apiserverState), []byte(state+"\n"))
}

// stop ends what was started.  The node's processes are looked for once more, for
// the case that the node was killed.
func (s *supervisor) stop() {
	nodeStopped := make(chan struct{})
	go func() {
		defer close(nodeStopped)
		if s.node != nil {
			s.node.stop(20 * time.Second)
		}
	}()
	s.stopControlPlane()
	<-nodeStopped
	killPodProcesses(s.path(podsDir))
	if s.stopEtcd != nil {
		s.stopEtcd()
	}
}

// listen opens the API server's port; the folder keeps it for the next start.  A
// port of our own choice is below those that the system gives to clients, so that
// it stays free while the API server is away.
func (s *supervisor) listen() (listener net.Listener, err error) {
	if s.Port == 0 {
		if data, err := os.ReadFile(s.path(portFile)); err == nil {
			s.Port, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		}
	}
	port := s.Port
	for range 100 {
		if s.Port == 0 {
			port = 16384 + rand.IntN(16384)
		}
		listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil || s.Port != 0 {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("port for the API server: %w", err)
	}
	s.Port = port
	return listener, writeFile(s.path(portFile), fmt.Appendln(nil, port))
}

func (s *supervisor) issueCertificates() (*pki, error) {
	p, err := openPKI(s.path("pki"))
	if err != nil {
		return nil, err
	}
	hosts := append([]string{"127.0.0.1", "::1", "localhost", firstServiceIP, "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, s.ExtraSANs...)
	if s.PodIP != "127.0.0.1" {
		hosts = append(hosts, s.PodIP)
	}
	masters := []string{"system:masters"}
	return p, errors.Join(
		p.issue("apiserver", "kube-apiserver", nil, hosts...),
		p.issue("etcd", "etcd", nil, "127.0.0.1"),
		p.issue("etcd-client", "kube-apiserver", nil),
		p.issue("kubelet-client", kubeletClientName, masters),
		p.issue("kubelet", "system:node:"+s.NodeName, []string{"system:nodes"}, "127.0.0.1"),
		p.issue("controllers", controllersUser, masters),
		p.issue("admin", "testbed-admin", masters),
		p.kubeconfig(s.path(adminConfig), s.server(), "admin"),
		p.kubeconfig(s.path("controllers.kubeconfig"), s.server(), "controllers"),
		p.kubeconfig(s.path("kubelet.kubeconfig"), s.server(), "kubelet"),
	)
}

// waitUsable waits until pods can be made in "default" and the node is ready.
func (s *supervisor) waitUsable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	client, err := kubernetes.NewForConfig(s.admin)
	if err != nil {
		return err
	}
	for {
		err := usable(ctx, client, s.NodeName)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped before the cluster was usable: %w", err)
		case <-s.controlPlane.done:
			return s.controlPlane.err
		case <-s.node.done:
			return s.node.err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func loadConfig(dir, name string) (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, name+".kubeconfig"))
	if err != nil {
		return nil, err
	}
	c.QPS, c.Burst = -1, -1 // a test cluster needs no client-side rate limit
	c.UserAgent = "testbed-" + name
	return c, nil
}

// whileParentLives is ctx until this process has another parent than at first.
func whileParentLives(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(200 * time.Millisecond)
		}
		cancel()
	}()
	return ctx
}

// hostIP is this machine's first IPv4 address that is not loopback: the API
// server refuses to proxy to loopback addresses of pods.
func hostIP() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
