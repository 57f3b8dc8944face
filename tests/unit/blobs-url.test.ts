import { describe, expect, test } from "vitest";
import { azureBlobs } from "../../engine/blobs/azure.ts";
import { parseBlobsUrl } from "../../engine/blobs/place.ts";
import { s3Blobs } from "../../engine/blobs/s3.ts";
import { openBlobs } from "../../engine/open-blobs.ts";

describe("a blob store's URL", () => {
  test.each([
    [".millrace/blobs", { scheme: "file", path: ".millrace/blobs" }],
    ["/var/blobs", { scheme: "file", path: "/var/blobs" }],
    ["C:\\blobs", { scheme: "file", path: "C:\\blobs" }],
    ["file:///var/my%20blobs", { scheme: "file", path: "/var/my blobs" }],
    ["redis:", { scheme: "redis", maxBytes: undefined }],
    ["redis:?maxBytes=1000", { scheme: "redis", maxBytes: 1_000 }],
    ["s3://bucket", { scheme: "s3", bucket: "bucket", prefix: "", forcePathStyle: false }],
    [
      "s3://b.c/x/y/?region=eu-west-1&endpoint=http://h:1&forcePathStyle=true",
      { scheme: "s3", bucket: "b.c", prefix: "x/y", region: "eu-west-1", endpoint: "http://h:1", forcePathStyle: true },
    ],
    ["azure://acc/con", { scheme: "azure", account: "acc", container: "con", prefix: "" }],
    [
      "azure://acc/con/x/y?endpoint=http://h:1/acc",
      { scheme: "azure", account: "acc", container: "con", prefix: "x/y", endpoint: "http://h:1/acc" },
    ],
  ])("%s", (url, expected) => {
    expect(parseBlobsUrl(url)).toEqual(expected);
  });

  test.each([
    ["gopher://a", "There is no store for gopher:"],
    ["file://host/a", "Of a file: URL the path is wanted"],
    ["file:///", "Of a file: URL the path is wanted"],
    ["file:///a?b=1", 'It takes no "b"'],
    ["redis://other:6379", "names no other"],
    ["redis:?maxBytes=1e6", "maxBytes is a whole number"],
    ["redis:?maxBytes=0", "maxBytes is a whole number"],
    ["s3://", "names a bucket"],
    ["s3:bucket", "names a bucket"],
    ["s3://b?forcePathStyle=yes", "forcePathStyle is true or false"],
    ["s3://b?regoin=x", 'It takes no "regoin"'],
    ["s3://key:secret@b", "It takes no credentials"],
    ["azure://account", "names an account and a container"],
  ])("%s is refused", (url, message) => {
    expect(() => parseBlobsUrl(url)).toThrow(message);
    expect(() => parseBlobsUrl(url)).toThrow(/^(?!.*secret)/);
  });

  test("needs what it does not say itself", async () => {
    await expect(openBlobs("redis:")).rejects.toThrow("redis: needs a Redis");
    await expect(openBlobs("s3://bucket")).rejects.toThrow("AWS_ACCESS_KEY_ID");
  });
});

const credentials = { accessKeyId: "a", secretAccessKey: "b" };

test.each([
  { bucket: "UPPER" },
  { bucket: "a" },
  { bucket: "bucket", prefix: "/a" },
  { bucket: "bucket", prefix: "a//b" },
  { bucket: "bucket", prefix: "a b" },
  { bucket: "bucket", prefix: "a/../b" },
  { bucket: "bucket", endpoint: "ftp://a" },
  { bucket: "bucket", endpoint: "a" },
])("S3 is not at %j", (place) => {
  expect(() => s3Blobs({ credentials, ...place })).toThrow(expect.objectContaining({ code: "bad_blobs_url" }));
});

test.each([{ account: "UPPER" }, { container: "a--b" }, { container: "a" }, { prefix: "a b" }, { endpoint: "a" }])(
  "Azure is not at %j",
  async (place) => {
    const whole = { account: "account", container: "container", credential: { key: "a2V5" } };
    await expect(azureBlobs({ ...whole, ...place })).rejects.toMatchObject({ code: "bad_blobs_url" });
  },
);
