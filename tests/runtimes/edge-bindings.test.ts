import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { startPrivateRedis } from "../../engine/redis/private/index.ts";
import { answerOf } from "../support/gateway.ts";
import { TestSocket } from "../support/live-clients.ts";
import { missing } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { serverPort } from "../support/servers/ports.ts";
import { SHIPPED_WORKER, startWorkerd } from "../support/workerd.ts";

describe.skipIf(missing("workerd"))("the Worker with the shipped workflows, on workerd", () => {
  test("says which binding it lacks", async () => {
    const lacks = async (...how: [Record<string, string>, "MILLRACE_GATEWAY" | "ELSEWHERE"]) => {
      const gateway = await startWorkerd(SHIPPED_WORKER, ...how);
      const { status, body } = await answerOf(await fetch(`${gateway.url}/livez`));
      await gateway.stop();
      return [status, body.type, body.detail];
    };
    const type = "urn:millrace:problem:misconfigured";
    const [noRedis, noObject] = await Promise.all([
      lacks({ MILLRACE_BLOBS: "redis:" }, "MILLRACE_GATEWAY"),
      lacks({ REDIS_URL: redisUrl }, "ELSEWHERE"),
    ]);
    expect(noRedis).toEqual([500, type, expect.stringContaining("REDIS_URL is not set")]);
    expect(noObject).toEqual([500, type, expect.stringContaining("There is no binding MILLRACE_GATEWAY")]);
  });

  test("starts with the first request that finds its Redis", async () => {
    const port = await serverPort();
    const gateway = await startWorkerd(SHIPPED_WORKER, {
      ...{ REDIS_URL: `redis://ann:secret@127.0.0.1:${port}`, MILLRACE_BLOBS: "redis:" },
    });
    const away = await fetch(`${gateway.url}/readyz`);
    expect([away.status, away.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await away.json()).toMatchObject({ type: "urn:millrace:problem:unavailable" });
    await expect.poll(() => gateway.process.output()).toContain("the gateway does not start");
    const line = gateway.process
      .output()
      .split("\n")
      .find((each) => each.includes("does not start"));
    expect(JSON.parse(line!)).toMatchObject({ level: "ERROR", logger: "millrace.gateway" });
    expect(gateway.process.output()).not.toContain("secret");
    const redis = await startPrivateRedis({
      ...{ dir: await temporaryDir(), appendOnly: false, home: `${ROOT}.millrace`, port },
      args: ["--user", "ann", "on", ">secret", "~*", "&*", "+@all"],
    });
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
    await gateway.stop();
    await redis.stop();
  });

  test("takes an issuer's tokens, and lets the pages of an origin ask", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" };
    const server = createServer((request, response) => {
      const isKeys = request.url === "/keys";
      response.end(JSON.stringify(isKeys ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/keys` }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gateway = await startWorkerd(SHIPPED_WORKER, {
      ...{ REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: "redis:" },
      ...{ MILLRACE_ORIGINS: "https://app.example", MILLRACE_JWT_ISSUER: issuer, MILLRACE_JWT_AUDIENCE: "millrace" },
    });
    const claims = { tenant: "acme", scope: "runs:read" };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: "one" })
      .setIssuer(issuer)
      .setAudience("millrace")
      .setExpirationTime("1m")
      .sign(privateKey);
    const Authorization = `Bearer ${token}`;
    const list = await fetch(`${gateway.url}/v1/runs`, { headers: { Authorization, Origin: "https://app.example" } });
    expect(await answerOf(list)).toMatchObject({ status: 200, body: { data: [] } });
    expect(list.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect((await fetch(`${gateway.url}/v1/runs`)).status).toBe(401);
    expect((await fetch(`${gateway.url}/v1/queues`, { headers: { Authorization } })).status).toBe(403);
    const socket = new TestSocket(`${gateway.url}/v1/live`, { Authorization, Origin: "https://app.example" });
    await socket.opened;
    socket.send({ type: "ping" });
    await socket.ofType("pong");
    const foreign = { Authorization, Origin: "https://elsewhere.example" };
    expect(await new TestSocket(`${gateway.url}/v1/live`, foreign).refused).toBe(403);
    await gateway.stop();
    server.closeAllConnections();
    server.close();
  });
});
