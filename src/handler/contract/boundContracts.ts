import type { Contract } from "../../wire/contract/contract.js";

/** A contract as a class uses it. */
export interface BoundContract {
  readonly contract: Contract;
  /** Whether data that the server sends is checked: not in production. Decided when the class is made. */
  readonly checksOutgoing: boolean;
}

const bound = new WeakMap<object, BoundContract>();

/** Binds a contract to a class, and to all classes that extend it. */
export function bindContract(handlerClass: object, contract: BoundContract): void {
  bound.set(handlerClass, contract);
}

/** The contract of a class or its nearest parent with one. */
export function contractOf(handlerClass: object): BoundContract | undefined {
  for (let at: object | null = handlerClass; at !== null; at = Object.getPrototypeOf(at)) {
    const found = bound.get(at);
    if (found !== undefined) return found;
  }
  return undefined;
}
