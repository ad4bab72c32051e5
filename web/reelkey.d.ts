/** The bytes of a JWK Set, as `MediaKeySession.update()` takes them. */
export type KeySet = Uint8Array & BufferSource;

/** What a token is wanted for. */
export interface Wanted {
  /** The key IDs that the player asks for: base64url of 16 bytes each. */
  kids: string[];
  /** The content ID, if it is known: when a license is asked for again. */
  content_id?: string;
  /**
   * The thumbprint of the device key (RFC 7638). A token with `cnf.jkt` is bound to it. It is missing where a key in the clear
   * is asked for (HLS AES-128): such a token cannot be bound.
   */
  jkt?: string;
}

/** Where authorization tokens come from: from the page, or from an authorization service. */
export type TokenSource =
  | {
      /**
       * The authorization token, or a callback that returns it. The callback is called for each request, so it should
       * return a token that is still valid for some minutes.
       */
      token: string | ((wanted: Wanted) => string | Promise<string>);
      authzurl?: undefined;
    }
  | {
      /**
       * The URL of an authorization service (DASH-IF license request model). The module asks it by GET with `?kids=` and
       * this browser's `jkt`, with cookies. It keeps the token until its `exp`, and fetches another one if the license
       * service refuses it, once for each request.
       */
      authzurl: string;
      token?: undefined;
    };

export type ClientOptions = TokenSource & {
  /** The service's base URL, for example `https://drm.example`. */
  url: string;
  /** `service_id` of the service's configuration. The default is `reelkey`. */
  serviceId?: string;
  /** What the account's list of devices shows for this browser. It decides nothing. */
  device?: DeviceDescription;
  /**
   * Says which kept licenses this client may play, for example those of the account that is signed in. The default is all
   * of this browser's.
   */
  kept?: (license: KeptLicense) => boolean;
};

/** A license that this browser keeps, for a title that plays without a network. Times are seconds since 1970. */
export interface KeptLicense {
  /** The license ID. */
  id: string;
  contentId: string;
  /** The account: `sub` of the token. */
  account: string;
  /** The key IDs that it has: base64url of 16 bytes each. */
  kids: string[];
  /** When playback ends, by the service's clock: the license's end, or that of the playback period once it has begun. */
  endsAt: number;
  /** When the title was first played from this license. */
  firstPlayedAt?: number;
  /**
   * Why it does not play now, or `null`: `license-expired`, `playback-expired`, `not-yet-available`, `clock-set-back`
   * (the device's clock is more than 120 s below a time that was seen), `license-returned` (it is being given back).
   */
  reason: string | null;
  /** The claims of the license (docs/API.md). */
  claims: Record<string, unknown>;
}

/** Words for people: at most 64 printable characters each. */
export interface DeviceDescription {
  /** For example "Living room". */
  name?: string;
  model?: string;
  os?: string;
  client?: string;
}

/** Why there is no license, or why playback ended. */
export interface Refusal {
  /**
   * For programs: a reason of the service (`region-denied`, `blackout`, ...; docs/API.md), or one of this module:
   * `network`, `bad-license`, `bad-message`, `token`, `device-key`, `storage`, `insecure-context`, `eme`,
   * `license-expired`, and those of a kept license (`KeptLicense.reason`).
   */
  reason: string;
  /** A sentence for the viewer. */
  detail: string;
  /** The service's name of the request, for its log. `null` if the service did not answer. */
  requestId: string | null;
}

/** A license that was refused, or that could not be had. `message` is `detail`. */
export class LicenseError extends Error implements Refusal {
  constructor(reason: string, detail: string, more?: { requestId?: string | null; status?: number; cause?: unknown });
  reason: string;
  detail: string;
  requestId: string | null;
  /** The HTTP status of a refusal, otherwise 0. */
  status: number;
  /** The problem type of a refusal (RFC 9457). */
  type?: string;
}

interface ClientEvents {
  /** A license was refused or could not be had. */
  refusal: CustomEvent<Refusal>;
  /**
   * The license has expired and no other could be had: the sessions are closed and the video is paused. If renewals got no
   * answer at all, this is later than the license's end, by the policy's `renewal_recovery_duration`.
   */
  expired: CustomEvent<Refusal>;
}

/**
 * One viewer's connection to one license service. It renews each license of a title that is shown, as the license's policy
 * says, and gives it back when the last session of the title is closed or the page goes.
 */
export class Client extends EventTarget {
  constructor(options: ClientOptions);
  readonly url: string;
  readonly serviceId: string;
  /** What the device is called from the next request on. */
  device?: DeviceDescription;
  /** Returns the thumbprint of this browser's device key (RFC 7638). The key is made at first use. */
  jkt(): Promise<string>;
  /**
   * Asks for a license. Any player that can call it plays; the functions below only connect it to known players. A kept
   * license that has all wanted keys and plays is used without asking the service; one that has some of them is used if the
   * service does not answer.
   *
   * @param message the message of a MediaKeySession, `{"kids":[...],"type":"temporary"}`; it may also have `content_id`
   * @returns a JWK Set for `MediaKeySession.update()`
   * @throws LicenseError
   */
  license(message: Uint8Array | ArrayBuffer): Promise<KeySet>;
  /**
   * The headers of a request for a key in the clear (HLS AES-128), for a player that `installShaka` and `hlsConfig` are not for:
   * the token. For a URL that is not below `/v1/hls/` of the service there are none.
   *
   * @throws LicenseError
   */
  keyHeaders(url: string): Promise<Record<string, string>>;
  /**
   * Takes a title offline: asks for a license of `session_type` `persistent-license`, and keeps it. If one that plays is
   * kept already, it is returned, and nothing is asked. The page stores the media.
   *
   * @param options `kids`: the key IDs that are wanted, in base64url. The default is the whole title
   * @throws LicenseError
   */
  keepLicense(contentId: string, options?: { kids?: string[] }): Promise<KeptLicense>;
  /** Returns the kept licenses that this client may play, those that have ended too. It needs no network. */
  keptLicenses(): Promise<KeptLicense[]>;
  /**
   * Renews a kept license, and tells the service when the title was first played. While the title plays, the module does
   * this by itself if the policy has `can_renew` and the service can be reached.
   */
  renewLicense(id: string): Promise<KeptLicense>;
  /**
   * Gives a kept license back. From this call on it does not play. It is deleted when the service's receipt has come; if
   * none comes, this rejects, and the next client of this service in this browser sends the request again.
   *
   * @returns the claims of the receipt; nothing if the license had ended, and the service has forgotten it
   * @throws LicenseError
   */
  returnLicense(id: string): Promise<Record<string, unknown> | undefined>;
  addEventListener<T extends keyof ClientEvents>(
    type: T, listener: (event: ClientEvents[T]) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * Returns the URL of the authorization service that a DASH manifest names for ClearKey (`dashif:Authzurl` in its
 * ContentProtection), for `ClientOptions.authzurl`.
 */
export function findAuthzurl(manifest: string | Document): string | undefined;

/** What was asked. An answer to anything else is refused. */
export interface Asked {
  serviceId: string;
  /** `jti` and `iat` of the request. */
  jti: string;
  iat: number;
  /** The thumbprint of the device key. */
  jkt: string;
  /** The request without its signature. */
  signingInput: string;
  /** The private key that belongs to `enc_jwk` of the request. */
  privateKey: CryptoKey;
  /** The license that is renewed, if one is: the answer has its ID and a higher counter. */
  renews?: { jti: string; counter: number };
}

/**
 * Checks everything that a device has to check in an answer of the service, then opens its keys. `Client.license` does
 * this; it is here for tests and for pages with a transport of their own.
 *
 * @param answer the compact JWS
 * @param findKey returns the service's public key with this `kid`, if there is one
 * @returns the license's claims, a JWK Set for `MediaKeySession.update()`, and its KIDs
 * @throws LicenseError with reason `bad-license` if anything is wrong; then no key comes out
 */
export function openLicense(
  answer: string, asked: Asked, findKey: (kid: string) => Promise<JsonWebKey | undefined> | JsonWebKey | undefined,
): Promise<{ claims: Record<string, unknown>; keys: KeySet; kids: string[] }>;

/**
 * Plays encrypted media of a media element without a player's help. Call it before the element gets its source.
 * @returns a function that stops it and closes its sessions
 */
export function attachEme(video: HTMLMediaElement, client: Client): () => void;

/** Connects a `shaka.Player`. Call it before `load()`. */
export function installShaka(player: any, client: Client): void;

/** Connects a dash.js `MediaPlayer`. Call it before `attachSource()`. */
export function installDashjs(player: any, client: Client): void;

/**
 * Returns members of an hls.js configuration: `new Hls({...hlsConfig(client)})`. `xhrSetup` is one of them: a page with its own
 * has to call this one too.
 */
export function hlsConfig(client: Client): Record<string, unknown>;

/** Returns `keySystems` of a video.js source. The plugin videojs-contrib-eme is required. */
export function videojsKeySystems(client: Client): Record<string, unknown>;
