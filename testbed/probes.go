package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
)

// watchProbes runs a container's probes for as long as its process lives.
func (c *container) watchProbes(p *process) {
	if probe := c.spec.StartupProbe; probe != nil && !c.untilStarted(p, probe) {
		return
	}
	if c.spec.StartupProbe != nil {
		c.mu.Lock()
		c.started = c.running == p
		c.ready = c.started && c.spec.ReadinessProbe == nil
		c.mu.Unlock()
		c.pod.report()
	}
	if probe := c.spec.LivenessProbe; probe != nil {
		go c.watchLiveness(p, probe)
	}
	if probe := c.spec.ReadinessProbe; probe != nil {
		go c.watchReadiness(p, probe)
	}
}

// untilStarted waits for the startup probe, and ends the process if it fails too often.
func (c *container) untilStarted(p *process, probe *v1.Probe) bool {
	failures := int32(0)
	for ok := range c.results(p, probe, time.Second) {
		if ok {
			return true
		}
		if failures++; failures >= probe.FailureThreshold {
			c.fail(p, "startup")
			return false
		}
	}
	return false
}

func (c *container) watchLiveness(p *process, probe *v1.Probe) {
	failures := int32(0)
	for ok := range c.results(p, probe, time.Hour) {
		if failures++; ok {
			failures = 0
		} else if failures >= probe.FailureThreshold {
			c.fail(p, "liveness")
			return
		}
	}
}

func (c *container) watchReadiness(p *process, probe *v1.Probe) {
	failures, successes := int32(0), int32(0)
	for ok := range c.results(p, probe, time.Second) {
		if ok {
			failures, successes = 0, successes+1
		} else {
			failures, successes = failures+1, 0
		}
		c.mu.Lock()
		if successes >= probe.SuccessThreshold {
			c.ready = c.running == p
		} else if failures >= probe.FailureThreshold {
			c.ready = false
		}
		c.mu.Unlock()
		c.pod.report()
	}
}

// results yields the probe's results while the process lives.  The first comes at
// once, and the one after a failure within the time again: nobody likes to wait a
// whole period for a pod that is ready.
func (c *container) results(p *process, probe *v1.Probe, again time.Duration) func(yield func(bool) bool) {
	return func(yield func(bool) bool) {
		period := time.Duration(probe.PeriodSeconds) * time.Second
		wait := time.Duration(probe.InitialDelaySeconds)*time.Second + 100*time.Millisecond
		for {
			select {
			case <-p.done:
				return
			case <-c.pod.ctx.Done():
				return
			case <-time.After(wait):
			}
			err := c.probe(probe)
			wait = period
			if err != nil {
				wait = min(period, again)
				c.event(v1.EventTypeWarning, "Unhealthy", "probe failed: %v", err)
			}
			if !yield(err == nil) {
				return
			}
		}
	}
}

// fail ends a process that its probe gave up.
func (c *container) fail(p *process, probe string) {
	c.event(v1.EventTypeNormal, "Killing", "Container %s failed %s probe, will be restarted", c.spec.Name, probe)
	close(p.unhealthy)
}

// probe looks once, and says why it failed.
func (c *container) probe(p *v1.Probe) error {
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	port := func(v fmt.Stringer) string {
		for _, cp := range c.spec.Ports {
			if cp.Name == v.String() {
				return fmt.Sprint(cp.ContainerPort)
			}
		}
		return v.String()
	}
	switch {
	case p.Exec != nil:
		ctx, cancel := context.WithTimeout(c.pod.ctx, timeout)
		defer cancel()
		cmd, err := c.command(ctx, p.Exec.Command, false)
		if err != nil {
			return err
		}
		return cmd.Run()
	case p.HTTPGet != nil:
		return probeHTTP(p.HTTPGet, port(&p.HTTPGet.Port), timeout)
	case p.TCPSocket != nil:
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port(&p.TCPSocket.Port), timeout)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return nil
}

func probeHTTP(get *v1.HTTPGetAction, port string, timeout time.Duration) error {
	scheme := "http"
	if get.Scheme == v1.URISchemeHTTPS {
		scheme = "https"
	}
	req, err := http.NewRequest(http.MethodGet, scheme+"://127.0.0.1:"+port+get.Path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-probe/1")
	for _, h := range get.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
	}
	// A kubelet does not check certificates either.
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return nil
}
