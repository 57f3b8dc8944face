import { MillraceError, NotFoundError } from "../errors.ts";
import type { BlobStore } from "./blob-store.ts";

/** What `connect` uses when it is given no blob store: it holds nothing and takes nothing. */
export const noBlobs: BlobStore = {
  async put() {
    throw new MillraceError(
      "no_blob_store",
      "There is no blob store: give connect() one for documents and large values.",
    );
  },
  async find() {
    return undefined;
  },
  async open(_tenant, id) {
    throw new NotFoundError("document", id);
  },
  async delete() {},
  async share() {},
  async deleteOf() {},
};
