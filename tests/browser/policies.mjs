// What the service of the browser tests allows: one title that plays, one whose keys are retired, and a policy for each
// refusal. A token picks the policy. Absent: reasons that no policy causes (scenarios.mjs asks for these by the token).

export const CONTENT = "movies/film";
export const RETIRED = "movies/retired";
/** The packager, which may add titles of `live/` under the policy `default`. */
export const PACKAGER = { name: "shaka", secret: "secret-of-the-browser-tests" };
/** The parameter of the site's `/token` that asks for a token that has expired. */
export const EXPIRED = "expired";

const play = 'can_play = true\nlicense_duration = "10m"\n';
const plain = "allow_clearkey = true\nallow_hls_aes128 = true\n";
const region = '[region]\nevidence = "token"\n';
// The grace period is long, so only a release frees a slot while a test runs.
const stream = '[concurrency]\nlimit = 1\ngrace_period = "1h"\n';
const renewed = 'renewal_delay = "4s"\nrenewal_retry_interval = "1s"\nrenewal_recovery_duration = "6s"\n';
const always = "from = 2020-01-01T00:00:00Z\nuntil = 2099-01-01T00:00:00Z\n";

export const POLICIES = {
  default: play,
  short: 'can_play = true\nlicense_duration = "4s"\n',
  renewed: `can_play = true\ncan_renew = true\nlicense_duration = "8s"\n${renewed}${stream}`,
  stream: `${play}${stream}`,
  offline: `${play}can_persist = true\ncan_renew = true\nplayback_duration = "2h"\n[persistent]\nlicense_duration = "1d"\n`,
  sd: `${play}tracks = ["AUDIO", "SD"]\n`,
  "no-play": 'can_play = false\nlicense_duration = "10m"\n',
  mfa: `${play}required_amr = ["mfa"]\n`,
  future: `${play}available_from = 2099-01-01T00:00:00Z\n`,
  past: `${play}available_until = 2020-01-01T00:00:00Z\n`,
  us: `${play}${region}allowed_countries = ["US"]\n`,
  blackout: `${play}${region}[[region.blackout]]\ncountries = ["CA"]\n${always}`,
  plain: `${play}${plain}`,
  "plain-us": `${play}${plain}${region}allowed_countries = ["US"]\n`,
  hardware: `${play}[device]\nsecurity_level = "HW_SECURE_ALL"\n`,
};
