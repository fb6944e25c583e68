// Links and headings of pages: written as marks while pages are made, since anchors are known only when all are.

/** The anchor that GitHub gives to a heading, without the number of equal ones. */
export function slugOf(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
}

/** Anchors of one page: the second heading of a slug gets `-1`, as on GitHub. */
export function anchorCounter() {
  const seen = new Map();
  return (heading) => {
    const slug = slugOf(heading);
    let anchor = slug;
    while (seen.has(anchor)) {
      seen.set(slug, seen.get(slug) + 1);
      anchor = `${slug}-${seen.get(slug)}`;
    }
    seen.set(anchor, 0);
    return anchor;
  };
}

/** Marks of targets: a heading bears `{#7}`, a link to it goes to `ref:7`. */
export class Marks {
  #ids = new Map();

  heading(level, text, target) {
    return `${"#".repeat(level)} ${text} {#${this.#idOf(target)}}`;
  }

  link(text, target) {
    return `[${text}](ref:${this.#idOf(target)})`;
  }

  #idOf(target) {
    if (!this.#ids.has(target)) this.#ids.set(target, this.#ids.size);
    return this.#ids.get(target);
  }
}

/** `pages` with every mark replaced. */
export function resolveMarks(pages) {
  const places = new Map();
  const anchored = new Map([...pages].map(([page, text]) => [page, replaceHeadings(page, text, places)]));
  return new Map([...anchored].map(([page, text]) => [page, replaceLinks(page, text, places)]));
}

/** Takes the marks off the headings of a page, and notes their anchors in `places`. */
function replaceHeadings(page, text, places) {
  const anchorOf = anchorCounter();
  return mapProse(text, (line) => {
    const [, level, heading, id] = /^(#+) (.*?)(?: \{#(\d+)\})?$/.exec(line) ?? [];
    if (level === undefined) return line;
    const anchor = anchorOf(heading);
    if (id !== undefined) places.set(id, { page, anchor });
    return `${level} ${heading}`;
  });
}

function replaceLinks(page, text, places) {
  return mapProse(text, (line) =>
    line.replace(/\]\(ref:(\d+)\)/g, (_link, id) => {
      const place = places.get(id);
      if (place === undefined) throw new Error(`${page} has a link to a name that has no heading (${id}): ${line}`);
      return `](${place.page === page ? "" : place.page}#${place.anchor})`;
    }),
  );
}

/** Changes lines that are outside code blocks. */
export function mapProse(text, change) {
  let isFenced = false;
  const lines = text.split("\n").map((line) => {
    if (line.startsWith("```")) isFenced = !isFenced;
    return isFenced ? line : change(line);
  });
  return lines.join("\n");
}
