import { createHash, createHmac } from "node:crypto";

export interface SignedRequest {
  method: string;
  /** As it was sent: path and query. */
  target: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Whether a request to S3 is signed with this secret, in its headers or its query, and not too long ago.
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html)
 */
export function isSignedBy(secret: string, { method, target, headers }: SignedRequest): boolean {
  const [path = "", search = ""] = target.split("?");
  const query = new Map(search.split("&").map((pair) => pair.split("=") as [string, string]));
  const asked = (name: string) => decodeURIComponent(query.get(name) ?? "");
  const inHeader = /Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=(\w+)/.exec(String(headers.authorization));
  const inQuery = [asked("X-Amz-Credential"), asked("X-Amz-SignedHeaders"), asked("X-Amz-Signature")];
  const [credential = "", names = "", signature = ""] = inHeader?.slice(1) ?? inQuery;
  const [, date = "", region = "", service = "", end = ""] = credential.split("/");
  const time = inHeader === null ? asked("X-Amz-Date") : String(headers["x-amz-date"]);
  if (signature === "" || ageMs(time) > 1_000 * (inHeader === null ? Number(asked("X-Amz-Expires")) : 900))
    return false;

  const pairs = [...query].filter(([name]) => name !== "" && name !== "X-Amz-Signature");
  const canonicalQuery = pairs.map(([name, value = ""]) => `${name}=${value}`).sort();
  const canonicalHeaders = names.split(";").map((name) => `${name}:${String(headers[name] ?? "").trim()}\n`);
  const payload = inHeader === null ? "UNSIGNED-PAYLOAD" : String(headers["x-amz-content-sha256"]);
  const canonical = [method, path, canonicalQuery.join("&"), canonicalHeaders.join(""), names, payload].join("\n");
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", time, `${date}/${region}/${service}/${end}`, digest].join("\n");
  const key = [date, region, service, end].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString("hex") === signature;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Of a time such as 20260131T120000Z. */
function ageMs(time: string): number {
  const [, day = "", month = "", date = "", hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  return Date.now() - Date.parse(`${day}-${month}-${date}T${hour}:${minute}:${second}Z`);
}
