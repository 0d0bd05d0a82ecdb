package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// podRunner runs one pod from its first process to its last.
type podRunner struct {
	node  *node
	dir   string
	ctx   context.Context // ends when the pod is to stop
	done  chan struct{}   // closed when all its processes have ended
	grace atomic.Int64    // time that processes get between SIGTERM and SIGKILL
	quiet atomic.Bool     // report no more

	cancel     context.CancelFunc
	pod        *v1.Pod // as it was at first
	mu         sync.Mutex
	latest     *v1.Pod
	start      metav1.Time
	message    string // why it does not start
	inits      []*container
	containers []*container
	reported   string
	reporting  sync.Mutex
	retrying   bool
}

// How long the node waits for the API server's answer, and between two attempts.
const requestTimeout, retryDelay = 10 * time.Second, time.Second

func newPodRunner(n *node, pod *v1.Pod) *podRunner {
	r := &podRunner{node: n, pod: pod, latest: pod, dir: filepath.Join(n.dir, string(pod.UID)), done: make(chan struct{}), start: metav1.Now()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for i := range pod.Spec.InitContainers {
		r.inits = append(r.inits, newContainer(r, &pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		r.containers = append(r.containers, newContainer(r, &pod.Spec.Containers[i], false))
	}
	return r
}

// update takes in a newer version of the Pod object.
func (r *podRunner) update(pod *v1.Pod) {
	r.mu.Lock()
	r.latest = pod
	r.mu.Unlock()
	if pod.DeletionTimestamp != nil {
		grace := 30 * time.Second
		if s := pod.DeletionGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
		r.kill(grace)
		go r.finish()
	}
}

func (r *podRunner) kill(grace time.Duration) {
	r.grace.Store(int64(grace))
	r.cancel()
}

// finish removes the Pod object once its processes have ended.
func (r *podRunner) finish() {
	<-r.done
	zero, uid := int64(0), r.pod.UID
	options := metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid}}
	for !r.quiet.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		err := r.node.client.CoreV1().Pods(r.pod.Namespace).Delete(ctx, r.pod.Name, options)
		cancel()
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		klog.V(1).Infof("pod %s/%s: delete: %v", r.pod.Namespace, r.pod.Name, err)
		time.Sleep(retryDelay)
	}
}

// gracePeriod is the time that the pod's processes get to end by themselves.
func (r *podRunner) gracePeriod() time.Duration {
	if s := r.pod.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 30 * time.Second
}

func (r *podRunner) run() {
	defer close(r.done)
	defer r.report()
	defer killPodProcesses(r.dir)
	// Volumes may name secrets and config maps that do not exist yet.
	for {
		err := r.setUpVolumes()
		if err == nil {
			break
		}
		if r.message != err.Error() {
			r.event(v1.EventTypeWarning, "FailedMount", "%v", err)
			r.setMessage(err.Error())
		}
		if !r.sleep(200 * time.Millisecond) {
			return
		}
	}
	r.setMessage("")
	var all sync.WaitGroup
	defer all.Wait()
	go r.refreshTokens()
	for _, c := range r.inits {
		if c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == v1.ContainerRestartPolicyAlways { // a sidecar
			all.Go(func() { c.run(v1.RestartPolicyAlways) })
			continue
		}
		policy := r.pod.Spec.RestartPolicy
		if policy == v1.RestartPolicyAlways {
			policy = v1.RestartPolicyOnFailure
		}
		if c.run(policy); c.exitCode() != 0 {
			r.cancel()
			return
		}
	}
	var main sync.WaitGroup
	for _, c := range r.containers {
		main.Go(func() { c.run(r.pod.Spec.RestartPolicy) })
	}
	main.Wait()
	r.cancel() // ends sidecars
}

// sleep waits, and reports whether the pod should go on.
func (r *podRunner) sleep(d time.Duration) bool {
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *podRunner) setMessage(s string) {
	r.mu.Lock()
	r.message = s
	r.mu.Unlock()
	r.report()
}

// container returns the container of this name, or the only one for "".
func (r *podRunner) container(name string) *container {
	for _, c := range append(append([]*container{}, r.containers...), r.inits...) {
		if c.spec.Name == name || name == "" {
			return c
		}
	}
	return nil
}

// report writes the pod's status, if it changed.
func (r *podRunner) report() {
	r.reporting.Lock()
	defer r.reporting.Unlock()
	if r.quiet.Load() {
		return
	}
	status := r.status()
	data, _ := json.Marshal(map[string]any{"metadata": map[string]any{"uid": r.pod.UID}, "status": status})
	if string(data) == r.reported {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_, err := r.node.client.CoreV1().Pods(r.pod.Namespace).Patch(ctx, r.pod.Name,
		types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
	if err == nil {
		r.reported = string(data)
	} else if !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		klog.V(1).Infof("pod %s/%s: status: %v", r.pod.Namespace, r.pod.Name, err)
		r.retryReport()
	}
}

// retryReport reports again in a while, for the API server may be away.  The
// caller holds r.reporting.
func (r *podRunner) retryReport() {
	if r.retrying {
		return
	}
	r.retrying = true
	time.AfterFunc(retryDelay, func() {
		r.reporting.Lock()
		r.retrying = false
		r.reporting.Unlock()
		r.report()
	})
}

func (r *podRunner) status() v1.PodStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := v1.PodStatus{
		Phase: v1.PodPending, StartTime: &r.start, Message: r.message,
		HostIP: "127.0.0.1", HostIPs: []v1.HostIP{{IP: "127.0.0.1"}},
		PodIP: r.node.podIP, PodIPs: []v1.PodIP{{IP: r.node.podIP}},
	}
	initialized, ready, started, failed, ended := true, true, false, false, 0
	for _, c := range r.inits {
		cs := c.status()
		s.InitContainerStatuses = append(s.InitContainerStatuses, cs)
		sidecar := c.spec.RestartPolicy != nil
		if sidecar && !*cs.Started || !sidecar && (cs.State.Terminated == nil || cs.State.Terminated.ExitCode != 0) {
			initialized = false
		}
		failed = failed || c.ended.Load() && c.exitCode() != 0 && !sidecar
	}
	for _, c := range r.containers {
		cs := c.status()
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
		ready = ready && cs.Ready
		started = started || cs.State.Waiting == nil || cs.RestartCount > 0
		if c.ended.Load() {
			ended++
			failed = failed || c.exitCode() != 0
		}
	}
	switch {
	case failed && (ended == len(r.containers) || !initialized):
		s.Phase = v1.PodFailed
	case ended == len(r.containers):
		s.Phase = v1.PodSucceeded
	case started && initialized:
		s.Phase = v1.PodRunning
	}
	for _, c := range []struct {
		kind v1.PodConditionType
		ok   bool
	}{{v1.PodInitialized, initialized}, {v1.ContainersReady, ready}, {v1.PodReady, ready}} {
		cond := v1.PodCondition{Type: c.kind, Status: v1.ConditionFalse, LastTransitionTime: metav1.Now()}
		if c.ok {
			cond.Status = v1.ConditionTrue
		}
		for _, old := range r.latest.Status.Conditions {
			if old.Type == cond.Type && old.Status == cond.Status {
				cond.LastTransitionTime = old.LastTransitionTime
			}
		}
		s.Conditions = append(s.Conditions, cond)
	}
	return s
}

func (r *podRunner) mkdir(parts ...string) (string, error) {
	dir := filepath.Join(append([]string{r.dir}, parts...)...)
	return dir, os.MkdirAll(dir, 0o700)
}
