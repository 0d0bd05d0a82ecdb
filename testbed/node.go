package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
)

const (
	nodeName    = "testbed-node"
	podsDir     = "pods"
	resyncOrder = "resync" // the API server is back
)

// node is a kubelet that runs each container's command as a local process.
type node struct {
	name    string
	dir     string // holds a folder for each pod
	podIP   string
	apiPort int
	mounts  bool // volumes appear at their mount paths
	client  kubernetes.Interface
	server  *http.Server

	env      []string // of every pod
	images   imageTable
	recorder record.EventRecorder

	mu   sync.Mutex
	pods map[types.UID]*podRunner
}

// runNode is the component that holds the node.
func runNode(ctx context.Context, o options, orders <-chan string) error {
	p, err := openPKI(o.path("pki"))
	if err != nil {
		return err
	}
	config, err := loadConfig(o.Dir, "kubelet")
	if err != nil {
		return err
	}
	// A node whose supervisor was killed is still busy ending its pods.
	var lock *os.File
	if !until(func() bool { lock, err = acquire(o.path("node.pid")); return err == nil }, 30*time.Second) {
		return fmt.Errorf("an earlier node: %w", err)
	}
	defer lock.Close()
	n, err := newNode(o, config)
	if err != nil {
		return err
	}
	defer n.stop()
	if err := n.serve(ctx, p); err != nil {
		return err
	}
	go wait.UntilWithContext(ctx, n.heartbeat, 10*time.Second)
	for {
		watchCtx, stopWatching := context.WithCancel(ctx)
		go n.watch(watchCtx)
		select {
		case <-ctx.Done():
			stopWatching()
			return nil
		case <-orders: // resyncOrder is the only one
			stopWatching()
		}
	}
}

func newNode(o options, config *rest.Config) (*node, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	// Commands are looked for, and pods find theirs, in the folders asked for, then
	// beside this program, where kubectl and helm are.
	paths := slices.Clone(o.Paths)
	if program, err := os.Executable(); err == nil {
		paths = append(paths, filepath.Dir(program))
	}
	os.Setenv("PATH", strings.Join(append(paths, os.Getenv("PATH")), ":"))
	n := &node{name: o.NodeName, dir: o.path(podsDir), podIP: o.PodIP, apiPort: o.Port, env: o.PodEnv, images: o.Images,
		mounts: !o.NoMounts && mountsWork(o.Dir), client: client, recorder: newRecorder(client, o.NodeName),
		pods: map[types.UID]*podRunner{}}
	if !n.mounts && !o.NoMounts {
		klog.Warning("mount namespaces are not allowed here: volumes are found through POD_VOLUME_* only")
	}
	killPodProcesses(n.dir) // what an earlier node left
	return n, os.RemoveAll(n.dir)
}

// serve starts the kubelet API and registers the node at its port, as soon as
// there is an API server.
func (n *node) serve(ctx context.Context, p *pki) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if n.server, err = n.newServer(p); err != nil {
		return err
	}
	go n.server.ServeTLS(listener, "", "")
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	for {
		if err = n.register(ctx, port); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("register: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// watch follows the pods that are bound to this node.  After an API server's
// outage a fresh watch is quicker than an old one's back-off; what was deleted
// meanwhile is found by comparing.
func (n *node) watch(ctx context.Context) {
	known := n.uids()
	lw := cache.NewListWatchFromClient(n.client.CoreV1().RESTClient(), "pods", "", fields.OneTermEqualSelector("spec.nodeName", n.name))
	informer := cache.NewSharedInformer(lw, &v1.Pod{}, time.Minute)
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { n.sync(ctx, obj.(*v1.Pod)) },
		UpdateFunc: func(_, obj any) { n.sync(ctx, obj.(*v1.Pod)) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			n.remove(obj.(*v1.Pod).UID)
		},
	})
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return
	}
	for _, obj := range informer.GetStore().List() {
		delete(known, obj.(*v1.Pod).UID)
	}
	for uid := range known {
		n.remove(uid)
	}
}

func (n *node) uids() map[types.UID]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	uids := map[types.UID]bool{}
	for uid := range n.pods {
		uids[uid] = true
	}
	return uids
}

// register creates or updates the Node object.
func (n *node) register(ctx context.Context, port int32) error {
	obj := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{
		v1.LabelHostname: n.name, v1.LabelOSStable: runtime.GOOS, v1.LabelArchStable: runtime.GOARCH}}}
	if _, err := n.client.CoreV1().Nodes().Create(ctx, obj, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	obj, err := n.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	capacity := v1.ResourceList{
		v1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		v1.ResourceMemory:           resource.MustParse("8Gi"),
		v1.ResourcePods:             resource.MustParse("500"),
		v1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
	}
	now := metav1.Now()
	obj.Status = v1.NodeStatus{
		Capacity: capacity, Allocatable: capacity,
		Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"}, {Type: v1.NodeHostName, Address: n.name}},
		Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady",
			LastHeartbeatTime: now, LastTransitionTime: now}},
		DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: port}},
		NodeInfo: v1.NodeSystemInfo{KubeletVersion: version.Get().GitVersion, OperatingSystem: runtime.GOOS,
			Architecture: runtime.GOARCH, OSImage: "local processes", ContainerRuntimeVersion: "process://1"},
	}
	_, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, obj, metav1.UpdateOptions{})
	return err
}

// heartbeat renews the node's lease.
func (n *node) heartbeat(ctx context.Context) {
	leases := n.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	now, seconds := metav1.NowMicro(), int32(40)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.name}, Spec: spec}, metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil && ctx.Err() == nil {
		klog.Warningf("node lease: %v", err)
	}
}

// sync starts a pod's runner, or tells it that the pod is to be deleted.
func (n *node) sync(ctx context.Context, pod *v1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil {
		return // a later watch knows better
	}
	r := n.pods[pod.UID]
	if r == nil {
		if pod.DeletionTimestamp == nil && (pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed) {
			return
		}
		r = newPodRunner(n, pod)
		n.pods[pod.UID] = r
		go r.run()
	}
	r.update(pod)
}

func (n *node) remove(uid types.UID) {
	n.mu.Lock()
	r := n.pods[uid]
	delete(n.pods, uid)
	n.mu.Unlock()
	if r != nil {
		r.kill(0)
		go func() {
			<-r.done
			os.RemoveAll(r.dir)
		}()
	}
}

// find returns the runner of a pod.
func (n *node) find(namespace, name string) *podRunner {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.pods {
		if r.pod.Namespace == namespace && r.pod.Name == name {
			return r
		}
	}
	return nil
}

// stop ends all pods' processes and leaves their objects as they are.
func (n *node) stop() {
	if n.server != nil {
		n.server.Close()
	}
	n.mu.Lock()
	runners := make([]*podRunner, 0, len(n.pods))
	for _, r := range n.pods {
		runners = append(runners, r)
	}
	n.mu.Unlock()
	for _, r := range runners {
		r.quiet.Store(true)
		r.kill(time.Second)
	}
	for _, r := range runners {
		<-r.done
	}
	killPodProcesses(n.dir)
}
