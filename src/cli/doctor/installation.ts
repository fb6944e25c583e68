import { realpathSync } from "node:fs";
import { findPackage, ownPackage, type PackageFile, packageFolder, readPackage } from "../package.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { isInRange } from "./range.js";

/** What each optional package is for. */
const uses: Readonly<Record<string, string>> = {
  ioredis: "enfilade/redis",
  "@nats-io/transport-node": "enfilade/nats",
  "@nats-io/jetstream": "enfilade/nats",
  jose: "enfilade/tickets",
  react: "enfilade/react",
};

/** Checks the versions of Node.js, of this package, and of the packages that it uses. */
export function checkInstallation(folder: string): Finding[] {
  const installed = findPackage("enfilade", folder);
  const base = installed === undefined ? packageFolder : realpathSync(installed);
  const own = readPackage(base) ?? ownPackage();
  const { dependencies = {}, peerDependencies = {} } = own;
  return [
    checkNode(own),
    checkOwn(installed, own),
    checkModule(folder),
    checkDependency("ws", dependencies.ws ?? "", base),
    ...Object.entries(peerDependencies).map(([name, range]) => checkPeer(name, range, [folder, base])),
  ];
}

function checkNode({ engines }: PackageFile): Finding {
  const range = engines?.node ?? ">=20.19";
  const { node } = process.versions;
  if (!isInRange(node, range)) return problem(`Node.js ${node} is older than ${range}`, "install Node.js 22 or later");
  return ok(`Node.js ${node}${isInRange(node, ">=22") ? "" : ", which has no global WebSocket for clients"}`);
}

function checkOwn(installed: string | undefined, { version = "unknown" }: PackageFile): Finding {
  if (installed === undefined) return warning("enfilade is not installed in this folder", "npm install enfilade");
  const { version: running } = ownPackage();
  if (version === running) return ok(`enfilade ${version}`);
  return warning(`enfilade ${version} is installed, and this command is ${running}`, "npx enfilade doctor");
}

function checkModule(folder: string): Finding {
  const file = readPackage(folder);
  if (file === undefined) return warning("this folder has no readable package.json", "run this in your project");
  if (file.type === "module") return ok("package.json has the type module");
  return warning("package.json has not the type module, and enfilade is an ES module", "npm pkg set type=module");
}

function checkDependency(name: string, range: string, base: string): Finding {
  const version = versionOf(name, [base]);
  if (version === undefined) return problem(`${name} ${range} is not installed`, "npm install");
  if (isInRange(version, range)) return ok(`${name} ${version}`);
  return problem(
    `${name} ${version} is not in the range ${range}`,
    `npm install; npm ls ${name} shows where it is from`,
  );
}

function checkPeer(name: string, range: string, folders: readonly string[]): Finding {
  const version = versionOf(name, folders);
  const use = uses[name] ?? "an optional part";
  if (version === undefined) return ok(`${name} is not installed; only ${use} needs it`);
  if (isInRange(version, range)) return ok(`${name} ${version}, for ${use}`);
  return problem(`${name} ${version} is not in the range ${range} of ${use}`, `npm install "${name}@${range}"`);
}

/** The version of a package as the first of the folders that has it sees it. */
function versionOf(name: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    const found = findPackage(name, folder);
    const version = found === undefined ? undefined : readPackage(found)?.version;
    if (version !== undefined) return version;
  }
  return undefined;
}
