import { Window } from "happy-dom";

/**
 * A page for React in a process that has a gateway too, which needs the runtime's own `fetch`, `Response` and the like. To be
 * imported before anything of React's.
 */
const page = new Window({ url: "http://localhost/" });
Object.assign(globalThis, { window: page, document: page.document });

const { configure } = await import("@testing-library/react");
configure({ asyncUtilTimeout: 10_000 });
