// A page in TypeScript, as an application would write it. It has to compile (types.mjs).
import {
  Client, LicenseError, attachEme, findAuthzurl, hlsConfig, installDashjs, installShaka, openLicense, videojsKeySystems,
} from "reelkey";
import type { ClientOptions, KeptLicense, Refusal, Wanted } from "reelkey";

const fetchToken = async ({ kids, content_id, jkt }: Wanted): Promise<string> => [...kids, content_id, jkt].join();
const options: ClientOptions = { url: "https://drm.example", token: fetchToken, device: { name: "Living room" } };
const client = new Client(options);
const others: Client[] = [
  new Client({ url: "https://drm.example", token: "token", serviceId: "other" }),
  new Client({ url: "https://drm.example", authzurl: findAuthzurl("<MPD/>") ?? "https://www.example/authorize" }),
  new Client({ url: "https://drm.example", token: fetchToken, kept: ({ account }: KeptLicense) => account === "alice" }),
];
const show = ({ reason, detail, requestId }: Refusal): string => `${reason}: ${detail} (${requestId ?? "no answer"})`;
client.addEventListener("refusal", ({ detail }) => show(detail));
client.addEventListener("expired", ({ detail }) => show(detail), { once: true });

export async function play(video: HTMLVideoElement, player: unknown): Promise<() => void> {
  installShaka(player, client);
  installDashjs(player, client);
  Object.assign({}, hlsConfig(client), videojsKeySystems(client));
  return attachEme(video, client);
}

export async function offline(contentId: string): Promise<KeptLicense[]> {
  try {
    const kept: KeptLicense = await client.keepLicense(contentId, { kids: ["TZeTCj17UACAAFx72h8KEQ"] });
    const seconds: number = kept.endsAt - (kept.firstPlayedAt ?? 0);
    if (kept.reason === null && seconds > 0) await client.renewLicense(kept.id);
    const receipt = await client.returnLicense(kept.id);
    console.log(receipt?.jti, others.length);
  } catch (error) {
    if (error instanceof LicenseError) console.log(show(error), error.status, error.type);
  }
  return client.keptLicenses();
}

export const open = async (session: MediaKeySession, message: ArrayBuffer): Promise<void> =>
  session.update(await client.license(message));

export const verify = async (answer: string, asked: Parameters<typeof openLicense>[1]): Promise<string[]> =>
  (await openLicense(answer, asked, async () => undefined)).kids;
