import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { bits, boolean, integer, octets, oid, sequence, setOf, tagged, text, time } from "./der.ts";

/** Paths of PEM files: of an authority that nobody else knows, and of a server that it vouches for. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

const DAY_MS = 86_400_000;
const EC_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));

/**
 * Makes a private authority and a certificate for these host names, by Node alone, so that a test needs no program.
 *
 * @param dir where the files go
 */
export async function makeCertificates(dir: string, hosts: readonly string[] = ["localhost"]): Promise<Certificates> {
  const authority = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const server = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const issuer = nameOf("Millrace tests' authority");
  const isAuthority = sequence(boolean(true));
  const names = sequence(...hosts.map((host) => tagged(0x82, Buffer.from(host))));
  const ca = certificate(issuer, issuer, authority.publicKey, authority.privateKey, [
    extension("2.5.29.19", isAuthority, true),
  ]);
  const cert = certificate(nameOf(hosts[0]!), issuer, server.publicKey, authority.privateKey, [
    extension("2.5.29.17", names),
  ]);
  const paths = { ca: `${dir}/ca.crt`, cert: `${dir}/server.crt`, key: `${dir}/server.key` };
  await writeFile(paths.ca, ca);
  await writeFile(paths.cert, cert);
  await writeFile(paths.key, server.privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return paths;
}

/** RFC 5280, section 4.1: what is certified, and the authority's signature of it. */
function certificate(subject: Buffer, issuer: Buffer, key: KeyObject, by: KeyObject, extensions: Buffer[]): string {
  const now = Date.now();
  const validity = sequence(time(new Date(now - DAY_MS)), time(new Date(now + 30 * DAY_MS)));
  const publicKey = key.export({ type: "spki", format: "der" });
  const keyId = extension("2.5.29.14", octets(createHash("sha1").update(publicKey).digest()));
  const certified = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(randomBytes(12)),
    EC_WITH_SHA256,
    ...[issuer, validity, subject, publicKey],
    tagged(0xa3, sequence(keyId, ...extensions)),
  );
  const der = sequence(certified, EC_WITH_SHA256, bits(sign("sha256", certified, by)));
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const nameOf = (common: string) => sequence(setOf(sequence(oid("2.5.4.3"), text(common))));

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}
