/** The body of every refused call. */
export interface ApiError {
  readonly error: { readonly code: string; readonly message: string };
}

/** `GET api/session` */
export interface SessionInfo {
  /** The operator, as `authorize` named it. */
  readonly operator: string;
  /** The value of the header `x-enfilade-csrf` of each `POST`. */
  readonly csrf: string;
  /** The node that answers. */
  readonly node: string;
  /** The path of the admin, such as `/admin`, without a trailing slash; empty for the root. */
  readonly path: string;
  /** The version of Enfilade. */
  readonly version: string;
}

/** The header with {@link SessionInfo.csrf}. */
export type CsrfHeader = "x-enfilade-csrf";

/** A page of a list. */
export interface ListPage {
  /** The value of `after` for the next page; absent on the last one. */
  readonly next?: string;
  /** The nodes that did not answer in time: the list has nothing of theirs. */
  readonly missing: readonly string[];
}

/** One connection by name. */
export interface ConnectionName {
  readonly node: string;
  readonly id: string;
}
