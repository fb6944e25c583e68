import * as oidc from "openid-client";
import { PersonName } from "../text.js";
import type { Identity } from "./sessions.js";

/** A registered client of an OpenID Connect provider. */
export interface ProviderOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** Values that the browser keeps until it returns from the provider. */
export interface Check {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  /** The page to show after the sign-in. */
  readonly next: string;
}

/** Signs people in with OpenID Connect: the authorization code flow with PKCE (RFC 7636), state and nonce. */
export class Provider {
  readonly #options: ProviderOptions;
  #configuration: Promise<oidc.Configuration> | undefined;

  constructor(options: ProviderOptions) {
    this.#options = options;
  }

  /** Returns the page of the provider, and what to check when the browser comes back to `redirectURL`. */
  async begin(redirectURL: string, next: string): Promise<{ url: string; check: Check }> {
    const configuration = await this.#discover();
    const verifier = oidc.randomPKCECodeVerifier();
    const check = { verifier, state: oidc.randomState(), nonce: oidc.randomNonce(), next };
    const url = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectURL,
      scope: "openid profile",
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: check.state,
      nonce: check.nonce,
    });
    return { url: url.href, check };
  }

  /**
   * Returns who has signed in at the provider.
   *
   * @param returnedTo The URL to which the provider sent the browser, with its query.
   * @throws Error if the provider refused, or if one of the checks fails.
   */
  async finish(returnedTo: URL, { verifier, state, nonce }: Check): Promise<Identity> {
    const configuration = await this.#discover();
    const tokens = await oidc.authorizationCodeGrant(configuration, returnedTo, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const subject = tokens.claims()?.sub ?? "";
    const profile = await oidc.fetchUserInfo(configuration, tokens.access_token, subject);
    const name = PersonName.safeParse(profile.name ?? profile.preferred_username ?? subject);
    return { id: subject, name: name.success ? name.data : "Someone" };
  }

  /** Reads the metadata of the provider once. After an error, the next sign-in tries again. */
  #discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#options;
    const url = new URL(issuer);
    // Without TLS only for a provider on this machine.
    const isLocal = url.protocol === "http:" && url.hostname === "localhost";
    const options = isLocal ? { execute: [oidc.allowInsecureRequests] } : {};
    this.#configuration ??= oidc.discovery(url, clientId, clientSecret, undefined, options).catch((error) => {
      this.#configuration = undefined;
      throw error;
    });
    return this.#configuration;
  }
}
