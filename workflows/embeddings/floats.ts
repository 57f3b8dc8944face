const BYTES = 4;
/** So many arguments are safe to pass to a function. */
const AT_ONCE = 8_192;

/** Numbers as 32-bit floats, little endian, in base64: as OpenAI's embeddings are sent. */
export function encodeFloats(numbers: ArrayLike<number>): string {
  const bytes = new Uint8Array(numbers.length * BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < numbers.length; i += 1) view.setFloat32(i * BYTES, numbers[i]!, true);
  let text = "";
  for (let at = 0; at < bytes.length; at += AT_ONCE) text += String.fromCharCode(...bytes.subarray(at, at + AT_ONCE));
  return btoa(text);
}

/** The numbers again, with as many digits as tell one 32-bit float from the next. */
export function decodeFloats(base64: string): number[] {
  const view = new DataView(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer);
  const numbers: number[] = [];
  for (let at = 0; at + BYTES <= view.byteLength; at += BYTES)
    numbers.push(Number(view.getFloat32(at, true).toPrecision(9)));
  return numbers;
}
