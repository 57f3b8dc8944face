const texts = new WeakMap<object, string>();

/** A message as JSON, made once for all who are sent the same one. */
export function textOf(message: object): string {
  let text = texts.get(message);
  if (text === undefined) {
    text = JSON.stringify(message);
    texts.set(message, text);
  }
  return text;
}
