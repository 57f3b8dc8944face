/** As much of DER (ITU-T X.690) as a certificate needs. */

export function tagged(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  if (length < 0x100) return Buffer.of(0x81, length);
  return Buffer.of(0x82, length >> 8, length & 0xff);
}

export const sequence = (...parts: Uint8Array[]) => tagged(0x30, ...parts);
export const setOf = (...parts: Uint8Array[]) => tagged(0x31, ...parts);
export const text = (value: string) => tagged(0x0c, Buffer.from(value));
export const octets = (value: Uint8Array) => tagged(0x04, value);
export const bits = (value: Uint8Array) => tagged(0x03, Buffer.of(0), value);
export const boolean = (value: boolean) => tagged(0x01, Buffer.of(value ? 0xff : 0));
/** Of bytes that are a positive number: with a zero before one that would read as negative. */
export const integer = (value: Uint8Array) => tagged(0x02, (value[0] ?? 0) >= 0x80 ? Buffer.of(0) : Buffer.of(), value);
/** `20300101000000Z` */
export const time = (value: Date) =>
  tagged(0x18, Buffer.from(`${value.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));

/** Of an object identifier such as `2.5.4.3`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest.flatMap(base128)];
  return tagged(0x06, Buffer.from(bytes));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}
