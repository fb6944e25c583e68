import base from "../../vitest.config.ts";

// Set by run.mjs, since Stryker has no option for the files of tests.
const include = (process.env.MUTATION_TESTS ?? "").split(",");
// The projects would run all tests.
const { projects: _projects, ...shared } = base.test;

export default {
  ...base,
  test: {
    ...shared,
    include,
    // A mutant often makes a test wait forever. Without a mutant, every test of these files takes far less.
    testTimeout: 10_000,
    hookTimeout: 10_000,
  },
};
