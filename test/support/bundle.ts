import { build, type Plugin } from "esbuild";

/** The output of a browser bundler for a module; relative imports start at `resolveDir`. */
export async function bundleOf(contents: string, resolveDir: string, plugins: Plugin[] = []): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    // package.json only claims that there are no side effects; this checks it.
    ignoreAnnotations: true,
    plugins,
  });
  return outputFiles[0]?.text ?? "";
}
