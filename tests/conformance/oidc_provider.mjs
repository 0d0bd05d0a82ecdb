// A certified OpenID provider, npm's oidc-provider, over HTTPS: what a trusted issuer is in the tests.
// usage: oidc_provider.mjs NODE_MODULES CONFIG.json; says when it listens. Its own pages for
// development take any password for an account of the configuration.
//
// The client `towrope` uses its id tokens, `towrope-api` its access tokens, which are for the audience
// `https://towrope.example/api`. Each start has another signing key.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { pathToFileURL } from "node:url";
import { generateKeyPairSync, randomBytes } from "node:crypto";

const [modules, file] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const config = JSON.parse(readFileSync(file, "utf8"));
const api = { audience: "https://towrope.example/api", client: "towrope-api" };

function client(client_id) {
  return {
    client_id,
    token_endpoint_auth_method: "none",
    application_type: "native",
    redirect_uris: ["http://127.0.0.1/", "http://localhost/"],
    response_types: ["code"],
    grant_types: [
      "authorization_code",
      "refresh_token",
      "urn:ietf:params:oauth:grant-type:device_code",
    ],
  };
}

function signingKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const kid = randomBytes(8).toString("hex");
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid };
}

function claimsOf(id) {
  return { sub: id, preferred_username: id, email: `${id}@example.org`, email_verified: true, ...config.accounts[id] };
}

function provider(issuer) {
  return new Provider(issuer, {
    clients: [client("towrope"), client(api.client)],
    jwks: { keys: [signingKey()] },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    scopes: ["openid", "offline_access", "profile", "email", "groups"],
    claims: { profile: ["preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) =>
      id in config.accounts ? { accountId: id, claims: () => claimsOf(id) } : undefined,
    extraTokenClaims: (_, token) =>
      token.accountId ? { groups: claimsOf(token.accountId).groups } : undefined,
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, client) => (client.clientId === api.client ? api.audience : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "",
          audience: api.audience,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
}

const server = createServer({
  key: readFileSync(config.key),
  cert: readFileSync(config.certificate),
});
server.listen(config.port, "127.0.0.1", () => {
  const issuer = `https://localhost:${server.address().port}`;
  server.on("request", provider(issuer).callback());
  console.log(`oidc-provider is listening on ${issuer}`);
});
process.on("SIGTERM", () => process.exit(0));
