// npm's @azure/arm-hybridkubernetes against a server: the life of a connected cluster.
// usage: arm_hybridkubernetes.mjs NODE_MODULES SERVER SUBSCRIPTION, with TOKEN and ONBOARDING_KEY in
// the environment; prints one JSON object.
import { createRequire } from "node:module";

const [modules, endpoint, subscription] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { ConnectedKubernetesClient } = require("@azure/arm-hybridkubernetes");

const GROUP = "npm";
const CLUSTER = "shop-17";
const scopes = [];
const credential = {
  getToken: async (asked) => {
    scopes.push(asked);
    return { token: process.env.TOKEN, expiresOnTimestamp: Date.now() + 3600e3 };
  },
};
const client = new ConnectedKubernetesClient(credential, subscription, { endpoint });
const clusters = client.connectedClusterOperations;

async function all(pages) {
  const names = [];
  for await (const each of pages) names.push(each.name);
  return names;
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.name, error.statusCode, error.code];
  }
}

const wanted = {
  location: "local",
  identity: { type: "SystemAssigned" },
  agentPublicKeyCertificate: process.env.ONBOARDING_KEY,
  distribution: "k3s",
};
const polling = {
  requestOptions: { customHeaders: { prefer: "respond-async" } },
  updateIntervalInMs: 1,
};

const made = await clusters.beginCreateAndWait(GROUP, CLUSTER, wanted);
const polled = await clusters.beginCreateAndWait(GROUP, "polled", wanted, polling);
const updated = await clusters.update(GROUP, CLUSTER, { tags: { a: "b" } });
const shown = await clusters.get(GROUP, CLUSTER);
const how = { authenticationMethod: "Token", clientProxy: true };
const credentialRefused = await refusal(
  () => clusters.listClusterUserCredential(GROUP, CLUSTER, how),
);
const inGroup = await all(clusters.listByResourceGroup(GROUP));
const inSubscription = await all(clusters.listBySubscription());
const operations = await all(client.operations.list());
await clusters.beginDeleteAndWait(GROUP, "polled", polling);
await clusters.beginDeleteAndWait(GROUP, CLUSTER);
const deleted = await refusal(() => clusters.get(GROUP, CLUSTER));

console.log(JSON.stringify({
  scopes: [...new Set(scopes.flat())],
  made: [made.name, made.provisioningState],
  polled: polled.name,
  updated: updated.tags,
  shown: [shown.distribution, shown.connectivityStatus],
  credential: credentialRefused,
  inGroup,
  inSubscription,
  operations,
  deleted,
}));
