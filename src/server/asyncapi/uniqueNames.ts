/** Names for the parts of a document: each has only letters, digits, dots, dashes and underscores, and occurs once. */
export class UniqueNames {
  readonly #used = new Set<string>();

  /** The wanted name with other characters replaced; with a number if it is in use. */
  unique(wanted: string): string {
    const base = wanted.replace(/[^\w.-]+/g, "_").replace(/^_+(?=.)|(?<=.)_+$/g, "") || "_";
    for (let count = 1; ; count += 1) {
      const name = count === 1 ? base : `${base}_${count}`;
      if (this.#used.has(name)) continue;
      this.#used.add(name);
      return name;
    }
  }
}
