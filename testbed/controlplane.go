package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const controlPlaneName = "testbed-control-plane"

// drainTime is what the API server gets to end its requests.  It would wait for its
// last watcher, and for etcd if that is gone.
const drainTime = 2 * time.Second

// runControlPlane is the component that holds the API server and the controllers.
// Descriptor 3 is the API server's open socket.
func runControlPlane(ctx context.Context, o options, _ <-chan string) error {
	p, err := openPKI(o.path("pki"))
	if err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	config, err := loadConfig(o.Dir, "controllers")
	if err != nil {
		return err
	}
	apiCtx, stopAPI := context.WithCancel(context.Background())
	defer stopAPI()
	apiDone := make(chan error, 1)
	go func() {
		err := runAPIServer(apiCtx, o, p, listener)
		if err == nil {
			err = context.Cause(apiCtx)
		}
		apiDone <- fmt.Errorf("kube-apiserver ended: %w", err)
	}()
	if err := waitReady(ctx, config, apiDone); err != nil {
		return err
	}
	controllerCtx, stopControllers := context.WithCancel(context.Background())
	defer stopControllers()
	if err := startControllers(controllerCtx, config, p); err != nil {
		return fmt.Errorf("controllers: %w", err)
	}
	select {
	case err := <-apiDone:
		return err
	case <-ctx.Done():
	}
	// The controllers' watches would only delay the API server.
	stopControllers()
	stopAPI()
	select {
	case <-apiDone:
	case <-time.After(drainTime):
	}
	return nil
}

func waitReady(ctx context.Context, config *rest.Config, failed <-chan error) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for !isReady(ctx, client) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func isReady(ctx context.Context, client kubernetes.Interface) bool {
	return client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
}

// usable says what is still missing before pods can be made in "default".
func usable(ctx context.Context, client kubernetes.Interface, node string) error {
	if !isReady(ctx, client) {
		return fmt.Errorf("the API server is not ready")
	}
	if _, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	if _, err := client.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
		return err
	}
	n, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err == nil && !nodeIsReady(n) {
		err = fmt.Errorf("node %s is not ready", node)
	}
	return err
}

func nodeIsReady(n *v1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}
