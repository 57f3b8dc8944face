/**
 * A stream of bytes that is taken in pieces. What it throws is kept until what came before has been taken: that is worth as
 * much as if the stream had ended there.
 */
export class Pieces {
  readonly #body: AsyncIterator<Uint8Array>;
  #next: Uint8Array | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body[Symbol.asyncIterator]();
  }

  /** Whether there is another byte. */
  async more(): Promise<boolean> {
    while (!this.#ended && (this.#next === undefined || this.#next.byteLength === 0)) {
      try {
        const { done, value } = await this.#body.next();
        if (done) this.#ended = true;
        else this.#next = value;
      } catch (error) {
        this.#ended = true;
        this.#failure = { error };
      }
    }
    return !this.#ended;
  }

  /** The next bytes, so many at the most. */
  async *take(most: number): AsyncGenerator<Uint8Array> {
    for (let left = most; left > 0 && (await this.more()); ) {
      const chunk = this.#next!.subarray(0, left);
      this.#next = this.#next!.subarray(chunk.byteLength);
      left -= chunk.byteLength;
      yield chunk;
    }
  }

  /** What the stream has thrown, if it has. */
  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }
}
