const receiptTests = [
  "test/protocol/receipts.test.ts",
  "test/handler/ids.test.ts",
  "test/handler/v1.test.ts",
  "test/handler/secret.test.ts",
  "test/connection/memory.test.ts",
  "test/server/revoke.test.ts",
];

/** The mutated files, each with the test files that have to find its mutants. */
export const parts = {
  "src/wire/position.ts": ["test/wire/position.test.ts"],
  "src/wire/path.ts": ["test/wire/path.test.ts"],
  "src/room/history/recovery.ts": ["test/handler/v1.test.ts", "test/room/epochs.test.ts"],
  "src/server/limits.ts": ["test/limits.test.ts"],
  "src/connection/limits.ts": ["test/limits.test.ts"],
  "src/connection/outbox.ts": [
    "test/connection/outbox.test.ts",
    "test/connection/connection.test.ts",
    "test/connection/memory.test.ts",
  ],
  "src/protocol/receipts/receipts.ts": receiptTests,
  "src/protocol/receipts/clientReceipts.ts": receiptTests,
  "src/protocol/receipts/frameRecord.ts": receiptTests,
};

/** Per cent of its mutants that the tests of a file must find. */
export const scoreMin = 85;
