package main

import (
	"context"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	sacontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/statefulset"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

const controllersUser = "system:testbed-controllers"

// startControllers runs the kube-controller-manager's controllers that tests
// need, each built as kube-controller-manager builds it, and a one-node scheduler.
// They stop when ctx ends.
func startControllers(ctx context.Context, config *rest.Config, p *pki) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	metaClient, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	rootCA, err := os.ReadFile(p.path("ca.crt"))
	if err != nil {
		return err
	}
	trim := func(obj any) (any, error) {
		if m, err := meta.Accessor(obj); err == nil {
			m.SetManagedFields(nil)
		}
		return obj, nil
	}
	shared := informers.NewSharedInformerFactoryWithOptions(client, 12*time.Hour, informers.WithTransform(trim))
	metaShared := metadatainformer.NewSharedInformerFactoryWithOptions(metaClient, 12*time.Hour, metadatainformer.WithTransform(trim))
	core, apps, batch := shared.Core().V1(), shared.Apps().V1(), shared.Batch().V1()
	logger := klog.FromContext(ctx)

	// Service accounts: "default" in each namespace, legacy token secrets, the root CA config map.
	key, err := keyutil.PrivateKeyFromFile(p.path("sa.key"))
	if err != nil {
		return err
	}
	generator, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, key)
	if err != nil {
		return err
	}
	tokens, err := sacontroller.NewTokensController(logger, core.ServiceAccounts(), core.Secrets(), client,
		sacontroller.TokensControllerOptions{TokenGenerator: generator, RootCA: rootCA})
	if err != nil {
		return err
	}
	accounts, err := sacontroller.NewServiceAccountsController(logger, core.ServiceAccounts(), core.Namespaces(), client,
		sacontroller.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	rootCAs, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), client, rootCA)
	if err != nil {
		return err
	}
	// The cluster roles view, edit and admin are empty until this one fills them.
	roles := clusterroleaggregation.NewClusterRoleAggregation(shared.Rbac().V1().ClusterRoles(), client.RbacV1())

	// Clean-up.
	namespaces := namespace.NewNamespaceController(ctx, client, metaClient, client.Discovery().ServerPreferredNamespacedResources,
		core.Namespaces(), 5*time.Minute, v1.FinalizerKubernetes)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	started := make(chan struct{})
	ignored := map[schema.GroupResource]struct{}{{Group: "", Resource: "events"}: {}, {Group: "events.k8s.io", Resource: "events"}: {}}
	gc, err := garbagecollector.NewGarbageCollector(ctx, client, metaClient, mapper, ignored,
		informerfactory.NewInformerFactory(shared, metaShared), started)
	if err != nil {
		return err
	}

	// Workloads.
	deployments, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), client)
	if err != nil {
		return err
	}
	replicaSets := replicaset.NewReplicaSetController(ctx, apps.ReplicaSets(), core.Pods(), client, replicaset.BurstReplicas)
	statefulSets := statefulset.NewStatefulSetController(ctx, core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(),
		apps.ControllerRevisions(), client)
	daemonSets, err := daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(), core.Nodes(),
		client, flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	if err != nil {
		return err
	}
	jobs, err := job.NewController(ctx, client, core.Pods(), batch.Jobs(), nil, nil)
	if err != nil {
		return err
	}
	slices := endpointslice.NewController(ctx, core.Pods(), core.Services(), core.Nodes(), shared.Discovery().V1().EndpointSlices(),
		100, client, 0)

	for _, run := range []func(context.Context, int){
		tokens.Run, accounts.Run, rootCAs.Run, roles.Run, namespaces.Run,
		deployments.Run, replicaSets.Run, statefulSets.Run, daemonSets.Run, jobs.Run, slices.Run,
	} {
		go run(ctx, 2)
	}
	go gc.Run(ctx, 5, 30*time.Second)
	go gc.Sync(ctx, client.Discovery(), 5*time.Second)
	go wait.Until(mapper.Reset, 30*time.Second, ctx.Done())
	startScheduler(ctx, client)
	shared.Start(ctx.Done())
	metaShared.Start(ctx.Done())
	close(started)
	return nil
}

// startScheduler binds each new pod to the first node, at once.
func startScheduler(ctx context.Context, client kubernetes.Interface) {
	bind := func(obj any) {
		pod := obj.(*v1.Pod)
		if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || pod.Spec.SchedulerName != v1.DefaultSchedulerName || len(pod.Spec.SchedulingGates) > 0 {
			return
		}
		go wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil || len(nodes.Items) == 0 {
				return false, nil
			}
			client.CoreV1().Pods(pod.Namespace).Bind(ctx, &v1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
				Target:     v1.ObjectReference{Kind: "Node", Name: nodes.Items[0].Name},
			}, metav1.CreateOptions{})
			return true, nil
		})
	}
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", "", fields.OneTermEqualSelector("spec.nodeName", ""))
	informer := cache.NewSharedInformer(lw, &v1.Pod{}, 30*time.Second)
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: bind, UpdateFunc: func(_, obj any) { bind(obj) }})
	go informer.Run(ctx.Done())
}
