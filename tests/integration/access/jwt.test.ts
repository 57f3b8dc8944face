import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isJwt, type JwtSettings, jwtVerifier } from "../../../gateway/access/jwt.ts";

type Answer = (response: ServerResponse) => void;
type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

let answers: Record<string, Answer> = {};
let asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(request.url!);
  const answer = answers[request.url!];
  if (answer === undefined) response.writeHead(404).end();
  else answer(response);
});
let issuer: string;
let good: Pair;
let other: Pair;
const json = (value: unknown) => (response: ServerResponse) => void response.end(JSON.stringify(value));

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  [good, other] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("ES256")]);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const keysOf = async (pairs: Record<string, Pair>) =>
  json({
    keys: await Promise.all(
      Object.entries(pairs).map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid })),
    ),
  });

beforeEach(async () => {
  asked = [];
  answers = { "/keys": await keysOf({ one: good }) };
});

const settings = (more: Partial<JwtSettings> = {}): JwtSettings => ({
  ...{ issuer, audience: "millrace", jwksUrl: `${issuer}/keys`, tenantClaim: "tenant", timeoutMs: 1_000, ...more },
});
const verifier = (more: Partial<JwtSettings> = {}) => jwtVerifier([settings(more)]);

interface Signing {
  claims?: JWTPayload;
  header?: Record<string, unknown>;
  key?: Pair["privateKey"] | Uint8Array;
}
const now = () => Math.floor(Date.now() / 1_000);
function sign({ claims = {}, header = {}, key = good.privateKey }: Signing = {}): Promise<string> {
  const usual = {
    iss: issuer,
    aud: "millrace",
    exp: now() + 60,
    sub: "ann",
    tenant: "acme",
    scope: "runs:read admin fly",
  };
  return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: "RS256", kid: "one", ...header }).sign(key);
}

const REFUSED = { status: 401, code: "invalid_token", headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } };
const UNAVAILABLE = { status: 503, code: "issuer_unavailable" };

describe("a token", () => {
  test("of the issuer says whose it is", async () => {
    expect(await verifier().verify(await sign())).toEqual({
      ...{ issuer, subject: "ann", tenant: "acme", scopes: ["runs:read", "admin"], expiresAt: expect.any(String) },
    });
    const scopes = { perms: ["runs:write", 7, "runs:read"], "https://acme.example/org": "o-1" };
    const { verify } = verifier({ tenantClaim: "https://acme.example/org", scopesClaim: "perms" });
    expect(await verify(await sign({ claims: scopes }))).toMatchObject({
      tenant: "o-1",
      scopes: ["runs:read", "runs:write"],
    });
  });

  test("may be a little early or late, by the clocks", async () => {
    const { verify } = verifier();
    expect(await verify(await sign({ claims: { exp: now() - 20 } }))).toMatchObject({ tenant: "acme" });
    expect(await verify(await sign({ claims: { nbf: now() + 20 } }))).toMatchObject({ tenant: "acme" });
  });

  test.each<[string, (good: string) => Promise<string> | string]>([
    ["that has expired", () => sign({ claims: { exp: now() - 60 } })],
    ["that is not yet good", () => sign({ claims: { nbf: now() + 60 } })],
    ["without an end", () => sign({ claims: { exp: undefined } as JWTPayload })],
    ["of another issuer", () => sign({ claims: { iss: "https://evil.example" } })],
    ["of no issuer", () => sign({ claims: { iss: undefined } as JWTPayload })],
    ["of an issuer that begins so", () => sign({ claims: { iss: `${issuer}/` } })],
    ["for another audience", () => sign({ claims: { aud: "other" } })],
    ["for no audience", () => sign({ claims: { aud: undefined } as JWTPayload })],
    ["for no tenant", () => sign({ claims: { tenant: undefined } })],
    ["for a tenant that is none", () => sign({ claims: { tenant: "a b" } })],
    ["for a tenant that is no text", () => sign({ claims: { tenant: ["acme"] } })],
    ["signed by another key", () => sign({ header: { alg: "ES256" }, key: other.privateKey })],
    ["that names a key that is not there", () => sign({ header: { kid: "two" } })],
    [
      "with something that it says is critical",
      (token) => token.replace(/^[^.]+/, encode({ alg: "RS256", crit: ["x"], x: 1 })),
    ],
    [
      "that is not signed",
      () => new UnsecuredJWT({ tenant: "acme", iss: issuer, aud: "millrace", exp: now() + 60 }).encode(),
    ],
    ["whose header says that nothing is signed", (token) => `${encode({ alg: "none" })}.${token.split(".")[1]}.`],
    [
      "whose payload was changed",
      (token) =>
        token.replace(/\.[^.]+\./, `.${encode({ iss: issuer, tenant: "other", aud: "millrace", exp: now() + 60 })}.`),
    ],
    ["whose signature was cut", (token) => token.slice(0, -4)],
    ["without a signature", (token) => token.replace(/[^.]*$/, "")],
    ["that is too long", () => sign({ claims: { padding: "x".repeat(20_000) } })],
    ["that is none", () => "a.b.c"],
    ["that is empty", () => ""],
  ])("%s is refused", async (_, make) => {
    const token = await make(await sign());
    await expect(verifier().verify(token)).rejects.toMatchObject(REFUSED);
  });

  test("signed with the public key as if that were a secret is refused", async () => {
    const secrets = [await exportSPKI(good.publicKey), JSON.stringify(await exportJWK(good.publicKey))];
    for (const alg of ["HS256", "HS384", "HS512"])
      for (const secret of secrets) {
        const key = new TextEncoder().encode(secret);
        await expect(verifier().verify(await sign({ header: { alg }, key }))).rejects.toMatchObject(REFUSED);
      }
    // Not even where the issuer's own set has a shared secret in it.
    const key = crypto.getRandomValues(new Uint8Array(32));
    answers["/keys"] = json({
      keys: [{ kty: "oct", kid: "one", alg: "HS256", k: Buffer.from(key).toString("base64url") }],
    });
    await expect(verifier().verify(await sign({ header: { alg: "HS256" }, key }))).rejects.toMatchObject(REFUSED);
  });

  test("signed in a way that is not on the list is refused", async () => {
    answers["/keys"] = await keysOf({ one: good, two: other });
    const token = await sign({ header: { alg: "ES256", kid: "two" }, key: other.privateKey });
    expect(await verifier().verify(token)).toMatchObject({ tenant: "acme" });
    await expect(verifier({ algorithms: ["RS256"] }).verify(token)).rejects.toMatchObject(REFUSED);
  });

  test("brings no key and no address of one with it", async () => {
    const jwk = await exportJWK(other.publicKey);
    const header = { alg: "ES256", kid: "two", jwk, jku: `${issuer}/evil`, x5u: `${issuer}/evil` };
    answers["/evil"] = await keysOf({ two: other });
    const token = await sign({ header, key: other.privateKey });
    await expect(verifier().verify(token)).rejects.toMatchObject(REFUSED);
    expect(asked).toEqual(["/keys"]);
  });
});

describe("the issuer's keys", () => {
  test("are read once for all, and again for one that is not known, but not each time", async () => {
    const { verify } = verifier();
    const token = await sign();
    await Promise.all(Array.from({ length: 20 }, () => verify(token)));
    const unknown = await sign({ header: { kid: "two" } });
    for (let i = 0; i < 5; i += 1) await expect(verify(unknown)).rejects.toMatchObject(REFUSED);
    expect(asked).toEqual(["/keys"]);
  });

  test("are found by what the issuer says of itself", async () => {
    const config = "/.well-known/openid-configuration";
    answers[config] = json({ issuer, jwks_uri: `${issuer}/keys` });
    const { jwksUrl: _, ...rest } = settings();
    const { verify } = jwtVerifier([rest]);
    expect(await verify(await sign())).toMatchObject({ tenant: "acme" });
    await verify(await sign());
    expect(asked).toEqual([config, "/keys"]);
    for (const said of [{ issuer: "https://evil.example", jwks_uri: `${issuer}/keys` }, { issuer }, null, "no"]) {
      answers[config] = json(said);
      await expect(jwtVerifier([rest]).verify(await sign())).rejects.toMatchObject(UNAVAILABLE);
    }
    answers[config] = json({ issuer, jwks_uri: "http://evil.example/keys" });
    await expect(jwtVerifier([rest]).verify(await sign())).rejects.toMatchObject(UNAVAILABLE);
  });

  test.each<[string, Answer]>([
    ["never come", () => {}],
    ["come a byte at a time", (response) => void drip(response)],
    ["are not there", (response) => void response.writeHead(404).end()],
    ["are elsewhere", (response) => void response.writeHead(302, { Location: "/elsewhere" }).end()],
    ["are no JSON", (response) => void response.end("<html>")],
    ["are no set", (response) => void response.end("[]")],
    ["are too many", (response) => void response.end(JSON.stringify({ keys: [], padding: "x".repeat(300_000) }))],
    ["are cut off", (response) => response.destroy()],
  ])("that %s are unavailable, within the time for that", async (_, answer) => {
    answers["/keys"] = answer;
    answers["/elsewhere"] = await keysOf({ one: good });
    await expect(verifier().verify(await sign())).rejects.toMatchObject(UNAVAILABLE);
    expect(asked).toEqual(["/keys"]);
  });

  test("that could not be read are not asked for by everyone who comes meanwhile", async () => {
    answers["/keys"] = (response) => void response.writeHead(500).end();
    const { verify } = verifier();
    const token = await sign();
    for (let i = 0; i < 5; i += 1) await expect(verify(token)).rejects.toMatchObject(UNAVAILABLE);
    expect(asked).toEqual(["/keys"]);
  });
});

test("two issuers have keys of their own", async () => {
  answers["/theirs"] = await keysOf({ one: other });
  const theirs = { ...settings({ jwksUrl: `${issuer}/theirs` }), issuer: "https://theirs.example" };
  const { verify } = jwtVerifier([settings(), theirs]);
  const claims = { iss: theirs.issuer };
  const token = await sign({ claims, header: { alg: "ES256" }, key: other.privateKey });
  expect(await verify(token)).toMatchObject({ issuer: theirs.issuer });
  await expect(verify(await sign({ claims }))).rejects.toMatchObject(REFUSED);
});

test.each<[string, Partial<JwtSettings>]>([
  ["no https", { jwksUrl: "http://keys.example/" }],
  ["no URL", { jwksUrl: "keys" }],
  ["no audience", { audience: "" }],
  ["no audiences", { audience: [] }],
  ["no tenant", { tenantClaim: "" }],
  ["a shared secret", { algorithms: ["HS256"] }],
  ["no signature", { algorithms: ["none"] }],
  ["no algorithm", { algorithms: [] }],
])("settings with %s are refused", (_, more) => {
  expect(() => verifier(more)).toThrow(expect.objectContaining({ code: "bad_option" }));
});

test.each([
  ["a.b.c", true],
  ["a..", true],
  ["mr_abc_def", false],
  ["a.b", false],
  ["", false],
])("%j looks like a token: %s", (text, is) => {
  expect(isJwt(text)).toBe(is);
});

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(" "), 20);
  response.once("close", () => clearInterval(timer));
}
