/** One file of the dashboard, as text. */
export interface Asset {
  /** The media type. */
  type: string;
  text: string;
  /** Begins the `ETag`. */
  digest: string;
}

/** The page, which names the other files. */
export declare const page: Asset;
/** The other files, by names that change with what is in them. */
export declare const files: Readonly<Record<string, Asset>>;
