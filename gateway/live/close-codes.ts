/** With which codes (RFC 6455, 7.4) the gateway closes sockets. */
export const CLOSE = {
  /** The run has ended. */
  done: 1000,
  /** The server stops. */
  goingAway: 1001,
  /** Its caller is no longer let in. */
  refused: 1008,
  /** A message from the client is too large. */
  tooLarge: 1009,
  /** The run cannot be watched, or something went wrong here. */
  failed: 1011,
  /** The client does not read what is sent. */
  slow: 1013,
} as const;
