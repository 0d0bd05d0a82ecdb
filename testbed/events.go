package main

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// newRecorder writes the node's events, those that "kubectl describe" shows.
func newRecorder(client kubernetes.Interface, host string) record.EventRecorder {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet", Host: host})
}

// event records something that happened to a pod.
func (r *podRunner) event(kind, reason, format string, args ...any) {
	r.node.recorder.Eventf(r.pod, kind, reason, format, args...)
}

// event records something that happened to a container.
func (c *container) event(kind, reason, format string, args ...any) {
	pod := c.pod.pod
	list := "containers"
	if c.init {
		list = "initContainers"
	}
	c.pod.node.recorder.Eventf(&v1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name,
		UID: pod.UID, ResourceVersion: pod.ResourceVersion, FieldPath: "spec." + list + "{" + c.spec.Name + "}"},
		kind, reason, format, args...)
}
