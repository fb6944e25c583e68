import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HttpError } from "../../errors.js";
import { safeHeaders } from "./responses.js";

/** The built pages: `dist/admin/assets`, for this file in `dist` and in `src`. */
const defaultFolder = fileURLToPath(new URL("../../../dist/admin/assets", import.meta.url));
/** The file of the page. */
export const page = "index.html";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".txt": "text/plain; charset=utf-8",
};

interface Asset {
  readonly body: Buffer<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

/** The files of the pages, read once. */
export class Assets {
  readonly #folder: string;
  #files: Promise<ReadonlyMap<string, Asset>> | undefined;

  constructor(folder = defaultFolder) {
    this.#folder = folder;
  }

  /**
   * The response with a file.
   *
   * @throws HttpError (as a rejection) 404 for an unknown file, 503 when the pages were not built.
   */
  async answer(name: string, ifNoneMatch: string | undefined): Promise<Response> {
    this.#files ??= this.#read();
    const asset = (await this.#files).get(name);
    if (asset === undefined) throw new HttpError(404);
    const { etag, type, body } = asset;
    const headers = { ...safeHeaders, etag, "cache-control": "no-cache", "content-type": type };
    if (ifNoneMatch?.split(",").some((one) => one.trim() === etag)) return new Response(null, { status: 304, headers });
    return new Response(body, { headers });
  }

  async #read(): Promise<ReadonlyMap<string, Asset>> {
    try {
      const names = (await readdir(this.#folder)).filter((name) => types[extname(name)] !== undefined);
      const assets = names.map(async (name) => [name, await this.#readOne(name)] as const);
      return new Map(await Promise.all(assets));
    } catch (cause) {
      this.#files = undefined;
      throw new HttpError(503, "The pages are not built; run npm run build", { cause });
    }
  }

  async #readOne(name: string): Promise<Asset> {
    const body = Buffer.from(await readFile(join(this.#folder, name)));
    const hash = createHash("sha256").update(body).digest("base64url");
    return { body, type: types[extname(name)] ?? "", etag: `"${hash.slice(0, 22)}"` };
  }
}
