/** A stored document, as it travels between steps and to clients: never its content. */
export interface DocumentRef {
  id: string;
  name: string;
  type: string;
  /** In bytes. */
  size: number;
  /** Of the bytes, in lower-case hex. */
  sha256: string;
}

export type Format = "pdf" | "text" | "markdown";

/** One entry of the JSON array that `pages` refers to. Blank lines part paragraphs. */
export interface PageText {
  /** From 1. */
  page: number;
  text: string;
}

/** One entry of the JSON array that the sentences travel in. */
export interface Sentence {
  page: number;
  text: string;
}

export interface Identified {
  document: DocumentRef;
  format: Format;
}

export interface Extracted {
  title: string;
  pageCount: number;
  /** False for scans and other documents that hold pictures of text, or nothing. */
  textFound: boolean;
  /** What a reader of the result should know about its quality, in sentences. */
  warnings: string[];
  document: DocumentRef;
  pages: { document: DocumentRef };
}

export interface Segmented extends Extracted {
  /** ISO 639-1; null if there is too little text to say. */
  language: string | null;
  wordCount: number;
  sentenceCount: number;
  sentences: { document: DocumentRef };
}

export interface KeySentence {
  page: number;
  /** From 0 to 1; the best sentence of the document has 1. */
  score: number;
  text: string;
}

export interface FoundDate {
  /** `YYYY-MM-DD`, or `YYYY-MM` where no day is named. */
  date: string;
  /** The last day of a span. */
  end?: string;
  /** As the document has it. */
  text: string;
  page: number;
}

export interface FoundAmount {
  value: number;
  /** ISO 4217. */
  currency: string;
  /** As the document has it. */
  text: string;
  page: number;
}

export interface Findings {
  /** In the order of the document, like the other two. */
  keySentences: KeySentence[];
  dates: FoundDate[];
  amounts: FoundAmount[];
  /** How many there are in the document; the lists hold the first ones. */
  totals: { dates: number; amounts: number };
}

export interface Analysed extends Segmented, Findings {}

/** The result of the run. */
export type Analysis = Omit<Analysed, "sentences">;
