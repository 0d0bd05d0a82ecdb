package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// setUpVolumes writes each volume's files to DIR/volumes/NAME.
func (r *podRunner) setUpVolumes() error {
	if _, err := r.mkdir("work"); err != nil {
		return err
	}
	for _, v := range r.pod.Spec.Volumes {
		if v.HostPath != nil {
			continue
		}
		dir, err := r.mkdir("volumes", v.Name)
		if err != nil {
			return err
		}
		sources := []v1.VolumeProjection{}
		switch {
		case v.Projected != nil:
			sources = v.Projected.Sources
		case v.Secret != nil:
			sources = append(sources, v1.VolumeProjection{Secret: &v1.SecretProjection{Items: v.Secret.Items, Optional: v.Secret.Optional,
				LocalObjectReference: v1.LocalObjectReference{Name: v.Secret.SecretName}}})
		case v.ConfigMap != nil:
			sources = append(sources, v1.VolumeProjection{ConfigMap: &v1.ConfigMapProjection{Items: v.ConfigMap.Items,
				Optional: v.ConfigMap.Optional, LocalObjectReference: v.ConfigMap.LocalObjectReference}})
		case v.DownwardAPI != nil:
			sources = append(sources, v1.VolumeProjection{DownwardAPI: &v1.DownwardAPIProjection{Items: v.DownwardAPI.Items}})
		case v.EmptyDir != nil:
		default:
			return fmt.Errorf("volume %s: kind not supported", v.Name)
		}
		for _, s := range sources {
			if err := r.project(dir, s); err != nil {
				return fmt.Errorf("volume %s: %w", v.Name, err)
			}
		}
	}
	return nil
}

func (r *podRunner) project(dir string, s v1.VolumeProjection) error {
	ctx, ns := context.Background(), r.pod.Namespace
	switch {
	case s.Secret != nil:
		obj, err := r.node.client.CoreV1().Secrets(ns).Get(ctx, s.Secret.Name, metav1.GetOptions{})
		if err != nil {
			return unlessOptional(err, s.Secret.Optional)
		}
		return writeItems(dir, obj.Data, s.Secret.Items)
	case s.ConfigMap != nil:
		obj, err := r.node.client.CoreV1().ConfigMaps(ns).Get(ctx, s.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			return unlessOptional(err, s.ConfigMap.Optional)
		}
		data := map[string][]byte{}
		for k, v := range obj.BinaryData {
			data[k] = v
		}
		for k, v := range obj.Data {
			data[k] = []byte(v)
		}
		return writeItems(dir, data, s.ConfigMap.Items)
	case s.DownwardAPI != nil:
		for _, item := range s.DownwardAPI.Items {
			if item.FieldRef == nil {
				continue
			}
			value, err := r.field(item.FieldRef.FieldPath)
			if err == nil {
				err = writeFile(filepath.Join(dir, item.Path), []byte(value))
			}
			if err != nil {
				return err
			}
		}
		return nil
	case s.ServiceAccountToken != nil:
		return r.writeToken(dir, s.ServiceAccountToken)
	}
	return nil
}

// writeToken asks for a token bound to this pod, as a kubelet does.
func (r *podRunner) writeToken(dir string, s *v1.ServiceAccountTokenProjection) error {
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: r.pod.Name, UID: r.pod.UID},
	}}
	if s.Audience != "" {
		req.Spec.Audiences = []string{s.Audience}
	}
	tr, err := r.node.client.CoreV1().ServiceAccounts(r.pod.Namespace).CreateToken(context.Background(), r.pod.Spec.ServiceAccountName, req, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, s.Path), []byte(tr.Status.Token))
}

// refreshTokens writes projected volumes anew from time to time.
func (r *podRunner) refreshTokens() {
	for r.sleep(8 * time.Minute) {
		if err := r.setUpVolumes(); err != nil {
			klog.Warningf("pod %s/%s: %v", r.pod.Namespace, r.pod.Name, err)
		}
	}
}

// volumePath is the local path of a container's mount.
func (r *podRunner) volumePath(m v1.VolumeMount) string {
	for _, v := range r.pod.Spec.Volumes {
		if v.Name == m.Name && v.HostPath != nil {
			return filepath.Join(v.HostPath.Path, m.SubPath)
		}
	}
	return filepath.Join(r.dir, "volumes", m.Name, m.SubPath)
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

func writeItems(dir string, data map[string][]byte, items []v1.KeyToPath) error {
	if len(items) == 0 {
		for k := range data {
			items = append(items, v1.KeyToPath{Key: k, Path: k})
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			return fmt.Errorf("no key %q", item.Key)
		}
		if err := writeFile(filepath.Join(dir, item.Path), value); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces a file in one step.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// field reads a field for the downward API.
func (r *podRunner) field(path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return r.node.name, nil
	case "spec.serviceAccountName":
		return r.pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return "127.0.0.1", nil
	case "status.podIP", "status.podIPs":
		return r.node.podIP, nil
	}
	return fieldpath.ExtractFieldPathAsString(r.pod, path)
}

const tokenMount = "/var/run/secrets/kubernetes.io/serviceaccount"

// env is a container's whole environment.  Where mounts cannot be made, volumes
// are found through variables: POD_VOLUME_<NAME> for each volume, and
// POD_SERVICEACCOUNT for the folder with token, ca.crt and namespace.
func (c *container) env() (map[string]string, error) {
	r, ctx := c.pod, context.Background()
	vars := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": filepath.Join(r.dir, "work"), "LANG": "C.UTF-8",
		"HOSTNAME": r.pod.Name, podDirVariable: r.dir,
		"KUBERNETES_SERVICE_HOST":       "127.0.0.1",
		"KUBERNETES_SERVICE_PORT":       fmt.Sprint(r.node.apiPort),
		"KUBERNETES_SERVICE_PORT_HTTPS": fmt.Sprint(r.node.apiPort),
	}
	for _, entry := range r.node.env {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	for _, m := range c.spec.VolumeMounts {
		name := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(m.Name))
		vars["POD_VOLUME_"+name] = r.volumePath(m)
		if m.MountPath == tokenMount {
			vars["POD_SERVICEACCOUNT"] = r.volumePath(m)
		}
	}
	for _, from := range c.spec.EnvFrom {
		switch {
		case from.SecretRef != nil:
			obj, err := r.node.client.CoreV1().Secrets(r.pod.Namespace).Get(ctx, from.SecretRef.Name, metav1.GetOptions{})
			if err = unlessOptional(err, from.SecretRef.Optional); err != nil {
				return nil, err
			}
			for k, v := range obj.Data {
				vars[from.Prefix+k] = string(v)
			}
		case from.ConfigMapRef != nil:
			obj, err := r.node.client.CoreV1().ConfigMaps(r.pod.Namespace).Get(ctx, from.ConfigMapRef.Name, metav1.GetOptions{})
			if err = unlessOptional(err, from.ConfigMapRef.Optional); err != nil {
				return nil, err
			}
			for k, v := range obj.Data {
				vars[from.Prefix+k] = v
			}
		}
	}
	for _, e := range c.spec.Env {
		value, src := e.Value, e.ValueFrom
		switch {
		case src == nil:
			value = expansion.Expand(value, expansion.MappingFuncFor(vars))
		case src.FieldRef != nil:
			var err error
			if value, err = r.field(src.FieldRef.FieldPath); err != nil {
				return nil, err
			}
		case src.SecretKeyRef != nil:
			obj, err := r.node.client.CoreV1().Secrets(r.pod.Namespace).Get(ctx, src.SecretKeyRef.Name, metav1.GetOptions{})
			if err = unlessOptional(err, src.SecretKeyRef.Optional); err != nil {
				return nil, err
			}
			value = string(obj.Data[src.SecretKeyRef.Key])
		case src.ConfigMapKeyRef != nil:
			obj, err := r.node.client.CoreV1().ConfigMaps(r.pod.Namespace).Get(ctx, src.ConfigMapKeyRef.Name, metav1.GetOptions{})
			if err = unlessOptional(err, src.ConfigMapKeyRef.Optional); err != nil {
				return nil, err
			}
			value = obj.Data[src.ConfigMapKeyRef.Key]
		}
		vars[e.Name] = value
	}
	return vars, nil
}
