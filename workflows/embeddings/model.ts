/** The model that comes with Millrace: it hashes words and parts of words, and knows no meanings. */
export const HASHING_MODEL = "millrace-hashing-1";
