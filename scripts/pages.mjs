// Builds the pages of the admin into dist/admin/assets/: one script, one style sheet, and the page that loads them. The
// URLs in index.html are relative to the path of the admin with a slash at its end.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const pages = new URL("src/admin/pages/", root);
const assets = new URL("dist/admin/assets/", root);

mkdirSync(assets, { recursive: true });
await build({
  entryPoints: [
    { in: fileURLToPath(new URL("main.tsx", pages)), out: "app" },
    { in: fileURLToPath(new URL("style.css", pages)), out: "style" },
  ],
  outdir: fileURLToPath(assets),
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(new URL(name, pages), new URL(name, assets));

// The script has code of these packages, whose licenses ask for their text.
const licenses = ["preact", "uplot"].map((name) => {
  const text = readFileSync(new URL(`node_modules/${name}/LICENSE`, root), "utf8");
  return `${name}\n\n${text.trim()}\n`;
});
writeFileSync(new URL("licenses.txt", assets), licenses.join("\n\n"));
