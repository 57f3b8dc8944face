import { describe, expect, test } from "vitest";
import { entraId } from "../../engine/redis/entra-id.ts";

const tokenOf = (payload: unknown) => `head.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.signature`;
/** Of characters that base64url has in place of others. */
const token = tokenOf({ name: "??>>~~ÿÿ", oid: "an-object-id" });
const EXPIRES_AT = Date.parse("2030-01-31T09:00:00Z");

function credential(given: { token: string; expiresOnTimestamp: number } | null) {
  const scopes: string[] = [];
  const getToken = async (scope: string) => {
    scopes.push(scope);
    return given;
  };
  return { getToken, scopes };
}

describe("credentials by Microsoft Entra ID", () => {
  test("are a token for Redis, the object id of whom it is of, and its end", async () => {
    const from = credential({ token, expiresOnTimestamp: EXPIRES_AT });
    expect(await entraId({ credential: from })()).toEqual({
      ...{ username: "an-object-id", password: token },
      expiresAt: new Date(EXPIRES_AT),
    });
    expect(from.scopes).toEqual(["https://redis.azure.com/.default"]);
  });

  test("take another name where one is given", async () => {
    const from = credential({ token: "opaque", expiresOnTimestamp: EXPIRES_AT });
    expect(await entraId({ credential: from, username: "ann" })()).toMatchObject({ username: "ann" });
  });

  test.each([
    [null, "gave no token"],
    [{ token: "opaque", expiresOnTimestamp: EXPIRES_AT }, "cannot be read"],
    [{ token: tokenOf({ sub: "a" }), expiresOnTimestamp: EXPIRES_AT }, "no oid"],
  ])("%j is an error: %s", async (given, message) => {
    await expect(entraId({ credential: credential(given) })()).rejects.toThrow(message);
  });

  test("without a credential need @azure/identity, and say so", async () => {
    await expect(entraId()()).rejects.toThrow("Install @azure/identity");
  });
});
