/** A handler in a file of its own. */
export default async ({ twice }: { twice: number }): Promise<string> => String(twice);
