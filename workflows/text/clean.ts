/** What is no text: control characters but tab, and the private use area, where fonts keep their drawings. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to drop
const NO_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe\uffff\p{Co}\p{Cs}]/gu;

export function cleanText(text: string): string {
  return text.replaceAll(NO_TEXT, "");
}
