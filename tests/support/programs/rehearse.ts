// Rehearses nine days of a workflow under any runtime, on a Redis server of its own.
import { rehearseRefusals } from "../../../workflows/examples/renewal.ts";

const [home] = process.argv.slice(2);
const { early, ended, refused, charged } = await rehearseRefusals({ home: home! });
console.log(early.steps.charge?.attempt, ended.status, refused, charged.length);
