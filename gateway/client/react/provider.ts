import { createContext, createElement, type ReactElement, type ReactNode, useContext } from "react";
import type { Client } from "../index.ts";

const Given = createContext<Client | undefined>(undefined);

/** Gives the components within it a client. */
export function MillraceProvider({ client, children }: { client: Client; children?: ReactNode }): ReactElement {
  return createElement(Given.Provider, { value: client }, children);
}

/** The client of the nearest `MillraceProvider`. @throws Error if there is none */
export function useClient(): Client {
  const client = useContext(Given);
  if (client === undefined) throw new Error("There is no client: put a MillraceProvider around this component.");
  return client;
}
