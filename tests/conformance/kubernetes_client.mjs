// What a program in another language does with the proxy's kubeconfig, by @kubernetes/client-node.
// usage: kubernetes_client.mjs NODE_MODULES NAMESPACE POD; prints one JSON object.
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";

const [modules, namespace, pod] = process.argv.slice(2);
const k8s = createRequire(modules + "/")("@kubernetes/client-node");
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const seen = {};

seen.pods = (await core.listNamespacedPod({ namespace })).items.map((item) => item.metadata.name);

const watched = new Promise((resolve, reject) => {
  new k8s.Watch(config)
    .watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      {},
      (type, object) => {
        if (object.metadata.name === "made-by-node") resolve(type);
      },
      reject,
    )
    .catch(reject);
});
const made = { metadata: { name: "made-by-node" }, data: { key: "value" } };
await core.createNamespacedConfigMap({ namespace, body: made });
seen.watched = await watched;
await core.deleteNamespacedConfigMap({ namespace, name: "made-by-node" });

const output = new PassThrough();
let text = "";
output.on("data", (data) => (text += data));
seen.exec = await new Promise((resolve, reject) => {
  const command = ["sh", "-c", "echo from the pod; exit 3"];
  new k8s.Exec(config)
    .exec(namespace, pod, "main", command, output, null, null, false, resolve)
    .catch(reject);
});
seen.output = text;

console.log(JSON.stringify(seen));
process.exit(0);
