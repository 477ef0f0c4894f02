// A login provider (OpenID Connect) on this machine: it says where everything is, logs in whoever is chosen on its
// page, and signs ID tokens. It checks what a client has to bring, so that a login that leaves it out does not pass.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";

export const CLIENT = "the-page";
export const AUDIENCE = "deployments";

/** People by name, with their groups. */
const PEOPLE = { anna: ["platform"], victor: ["watchers"], nobody: [] };

const base64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Starts it. `issuer` is its address. */
export async function provider() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = { ...publicKey.export({ format: "jwk" }), kid: "first", alg: "ES256", use: "sig" };
  const waiting = new Map();
  let issuer;

  const token = (claims) => {
    const text = `${base64({ alg: "ES256", typ: "JWT", kid: key.kid })}.${base64(claims)}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };

  function redeem(form) {
    const began = waiting.get(form.get("code"));
    waiting.delete(form.get("code"));
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    const right = began && form.get("grant_type") === "authorization_code" && form.get("client_id") === CLIENT
      && challenge === began.challenge && form.get("redirect_uri") === began.callback;
    if (!right) return null;
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: CLIENT, sub: began.who, groups: PEOPLE[began.who], nonce: began.nonce, iat: now, exp: now + 300 };
    return { id_token: token(claims), access_token: "opaque", token_type: "Bearer" };
  }

  /** Its own page: one link per person, each back to the client with a code; and one for whoever changes their mind. */
  function page(asked) {
    const back = (parameters) => `${asked.get("redirect_uri")}?${new URLSearchParams({ ...parameters, state: asked.get("state") })}`;
    const links = Object.keys(PEOPLE).map((who) => {
      const code = randomBytes(16).toString("hex");
      waiting.set(code, { who, challenge: asked.get("code_challenge"), nonce: asked.get("nonce"), callback: asked.get("redirect_uri") });
      return [`Log in as ${who}`, back({ code })];
    });
    links.push(["Do not log in", back({ error: "access_denied" })]);
    const text = (value) => value.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    return `<!doctype html><html lang="en"><title>The provider</title><link rel="icon" href="data:,"><h1>The provider</h1>${links.map(([name, url]) => `<p><a href="${text(url)}">${name}</a></p>`).join("")}`;
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    const json = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (url.pathname === "/.well-known/openid-configuration") {
      json(200, { issuer, jwks_uri: `${issuer}/keys`, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` });
    } else if (url.pathname === "/keys") {
      json(200, { keys: [key] });
    } else if (url.pathname === "/authorize") {
      const right = url.searchParams.get("response_type") === "code" && url.searchParams.get("client_id") === CLIENT && url.searchParams.get("code_challenge_method") === "S256";
      if (right) response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page(url.searchParams));
      else json(400, { error: "invalid_request" });
    } else if (url.pathname === "/token" && request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      const answer = redeem(new URLSearchParams(body));
      json(answer ? 200 : 400, answer ?? { error: "invalid_grant" });
    } else {
      json(404, {});
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${server.address().port}`;
  return {
    issuer,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
