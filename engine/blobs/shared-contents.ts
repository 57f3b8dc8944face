import { newId } from "../ids.ts";
import type { Objects } from "./objects.ts";

/** How many contents with one digest are tried, of which there may be several when puts and deletes cross. */
const TRIED = 3;
/** How many names are looked at to find them. */
const LOOKED_AT = 1_000;

/**
 * Keeps the bytes that a tenant has uploaded several times once. Each document that refers to a content has a name
 * `CONTENT.DOCUMENT` in the set `same` of their digest; the content goes with the last of them.
 *
 * What makes it safe is that both sides say what they are about to do before they look at what the other does: a put
 * adds its name, then looks whether the content is dying and still there; a delete marks it as dying and takes its own name
 * off, then looks for other names. Whichever looks last sees the other. If both do, neither goes on: the put keeps its
 * own bytes and takes its name off as a delete does, so that the content goes with whoever comes last. No content has a name that another had before, so that a removal which comes late hits
 * nothing else.
 */
export class SharedContents {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /**
   * Has a document refer to a content with these bytes: one that is there, or the one that was written for it.
   *
   * @param own the content that was just written; it is removed if another does
   * @returns the content that it refers to
   */
  async join(tenant: string, sha256: string, own: string, document: string): Promise<string> {
    for (const content of await this.#contentsOf(tenant, sha256)) {
      if (!(await this.#joined(tenant, sha256, content, document))) continue;
      await this.#objects.remove({ kind: "content", tenant, id: own });
      return content;
    }
    await this.#objects.mark({ kind: "same", tenant, id: sha256 }, `${own}.${document}`);
    return own;
  }

  async #joined(tenant: string, sha256: string, content: string, document: string): Promise<boolean> {
    let joined = false;
    try {
      await this.#objects.mark({ kind: "same", tenant, id: sha256 }, `${content}.${document}`);
      joined = !(await this.#isDying(tenant, content)) && (await this.#isThere(tenant, content));
    } finally {
      // A delete may have left the content because of this name.
      if (!joined) await this.leave(tenant, sha256, content, document);
    }
    return joined;
  }

  /** Has a document refer to a content no more, and removes that if no other does. Idempotent. */
  async leave(tenant: string, sha256: string, content: string, document: string): Promise<void> {
    const dying = { kind: "dying", tenant, id: content } as const;
    // Its own for each call, so that nobody takes it off while another relies on it. What fails leaves it: the content is joined no more.
    const mine = newId();
    await this.#objects.mark(dying, mine);
    await this.#objects.unmark({ kind: "same", tenant, id: sha256 }, `${content}.${document}`);
    if (await this.#isReferredTo(tenant, sha256, content)) return this.#objects.unmark(dying, mine);
    await this.#objects.remove({ kind: "content", tenant, id: content });
    for await (const name of this.#objects.marks(dying)) await this.#objects.unmark(dying, name);
  }

  async #contentsOf(tenant: string, sha256: string): Promise<Set<string>> {
    const contents = new Set<string>();
    let seen = 0;
    for await (const name of this.#objects.marks({ kind: "same", tenant, id: sha256 })) {
      contents.add(name.split(".")[0]!);
      if (contents.size === TRIED || ++seen === LOOKED_AT) break;
    }
    return contents;
  }

  async #isReferredTo(tenant: string, sha256: string, content: string): Promise<boolean> {
    for await (const _ of this.#objects.marks({ kind: "same", tenant, id: sha256 }, `${content}.`)) return true;
    return false;
  }

  async #isDying(tenant: string, content: string): Promise<boolean> {
    for await (const _ of this.#objects.marks({ kind: "dying", tenant, id: content })) return true;
    return false;
  }

  async #isThere(tenant: string, id: string): Promise<boolean> {
    return (await this.#objects.size({ kind: "content", tenant, id })) !== undefined;
  }
}
