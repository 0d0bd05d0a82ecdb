#!/bin/bash
# Checks the test cluster with its own kubectl, from outside of pytest.  Needs curl and script.
# usage: testbed/smoke.sh [FOLDER OF THE BINARIES]
set -euo pipefail
bin=${1:-$("$(dirname "$0")/build.sh")}
export PATH=$bin:$PATH
dir=$(mktemp -d)
testbed up --dir "$dir/c" >"$dir/out" 2>"$dir/err" &
pid=$!
trap 'testbed down --dir "$dir/c" || true; wait $pid || true; rm -rf "$dir"' EXIT
until grep -q ^ready "$dir/out"; do kill -0 $pid; sleep 0.1; done
export KUBECONFIG=$dir/c/admin.kubeconfig
ok() { echo "ok   $*"; }

kubectl create deployment d --image=none --replicas=2 -- sh -c 'while :; do date +%N; sleep 0.2; done' >/dev/null
kubectl wait --for=condition=Available deploy/d --timeout=20s >/dev/null; ok deployment
pod=$(kubectl get pods -l app=d -o jsonpath='{.items[0].metadata.name}')
[ "$(kubectl logs -f "$pod" 2>/dev/null | head -3 | wc -l)" = 3 ]; ok logs -f

# Pods share the machine's network: take free ports.
read -r port local < <(python3 -c 'import socket as s; a, b = s.create_server(("127.0.0.1", 0)), s.create_server(("127.0.0.1", 0)); print(a.getsockname()[1], b.getsockname()[1])')
kubectl run web --image=none --command -- sh -c "echo hello >index.html; exec python3 -m http.server $port --bind 127.0.0.1" >/dev/null
kubectl wait --for=condition=Ready pod/web --timeout=10s >/dev/null

head -c 20000000 /dev/urandom >"$dir/blob"
sum=$(sha256sum <"$dir/blob")
for ws in true false; do
	export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
	[ "$(kubectl exec -i "$pod" -- cat <"$dir/blob" | sha256sum)" = "$sum" ]; ok "exec -i, WebSocket $ws"
	rc=0; kubectl exec "$pod" -- sh -c 'exit 7' 2>/dev/null || rc=$?; [ $rc = 7 ]; ok "exit code, WebSocket $ws"
	out=$( (sleep 1; printf 'stty size; exit 3\n'; sleep 1) | script -qec "stty rows 33 cols 111; kubectl exec -it $pod -- sh" /dev/null || true)
	[[ $out == *"33 111"* ]]; ok "exec -it, WebSocket $ws"
	kubectl port-forward pod/web "$local:$port" >/dev/null 2>&1 & forward=$!
	sleep 1
	[ "$(curl -sS "localhost:$local/")" = hello ]; ok "port-forward, WebSocket $ws"
	kill $forward; wait $forward 2>/dev/null || true
done
kubectl cp "$dir/blob" "$pod:blob" 2>/dev/null; kubectl cp "$pod:blob" "$dir/back" >/dev/null 2>&1
[ "$(sha256sum <"$dir/back")" = "$sum" ]; ok cp
kubectl exec "$pod" -- kubectl auth whoami | grep system:serviceaccount:default:default >/dev/null; ok in-cluster configuration

kubectl create rolebinding v --clusterrole=view --user=jane >/dev/null; sleep 0.5
[ "$(kubectl auth can-i list pods --as=jane)" = yes ]; kubectl get pods --as=jane >/dev/null
grep -q '"impersonatedUser":{"username":"jane"' "$dir/c/audit.log"; ok impersonation in the audit log
[ "$(kubectl create token default | tr -cd . | wc -c)" = 2 ]; ok create token
kubectl create sa robot >/dev/null
kubectl apply -f - >/dev/null <<'YAML'
{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: robot, annotations: {kubernetes.io/service-account.name: robot}}}
YAML
kubectl wait --for=jsonpath='{.data.token}' secret/robot --timeout=5s >/dev/null; ok legacy token
kubectl delete deploy d >/dev/null; kubectl wait --for=delete pod -l app=d --timeout=40s >/dev/null; ok garbage collection
kubectl create ns n >/dev/null; kubectl delete ns n --timeout=30s >/dev/null; ok namespace deletion
