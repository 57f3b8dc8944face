// Tries the stores that its arguments name.
import { openBlobs } from "../../../engine/open-blobs.ts";
import { tryBlobs } from "../try-blobs.ts";

for (const url of process.argv.slice(2)) {
  const { blobs, close } = await openBlobs(url, { env: process.env });
  await tryBlobs(blobs);
  close();
  console.log(`well: ${new URL(url).protocol}`);
}
process.exit(0);
