//! The examples at the end of each command's help.

use clap::Command;

/// Each command and its examples, one per line, in the order of the help.
pub(super) const EXAMPLES: [(&str, &[&str]); 64] = [
    ("init", &["reelkey init", "reelkey init --data /var/lib/reelkey"]),
    (
        "serve",
        &[
            "reelkey serve",
            "reelkey serve --listen 0.0.0.0:7420 --log-format text",
            "reelkey serve --log warn,reelkey::http=debug",
        ],
    ),
    (
        "demo",
        &[
            "reelkey demo",
            "reelkey demo --serve",
            "reelkey demo --serve --stream film.mpd --content movies/bunny",
        ],
    ),
    ("doctor", &["reelkey doctor", "reelkey doctor --data /var/lib/reelkey --json"]),
    ("reload", &["reelkey reload"]),
    (
        "content add",
        &[
            "reelkey content add movies/bunny --policy premium-movie",
            "reelkey content add movies/bunny --policy premium-movie --policy default",
            "reelkey content add live/news --policy live-event --crypto-period-seconds 60",
        ],
    ),
    ("content list", &["reelkey content list", "reelkey content list --prefix movies/ --limit 20"]),
    ("content show", &["reelkey content show movies/bunny"]),
    ("content set-policy", &["reelkey content set-policy movies/bunny --policy default"]),
    (
        "content remove",
        &["reelkey content remove movies/bunny", "reelkey content remove movies/bunny --yes"],
    ),
    (
        "key generate",
        &[
            "reelkey key generate movies/bunny --track HD",
            "reelkey key generate live/one --track HD --period 1",
        ],
    ),
    (
        "key import",
        &[
            "reelkey key import movies/bunny --track HD --kid 4d97930a-3d7b-5000-8000-5c7bda1f0a11 --key @key.hex",
            "reelkey key import --from keys.jsonl --policy premium-movie",
            "reelkey key import --from - < keys.jsonl",
        ],
    ),
    (
        "key export",
        &[
            "reelkey key export --to all-keys.jsonl",
            "reelkey key export movies/bunny --format shaka --to shaka.keys --yes",
            "reelkey key export movies/bunny --format ffmpeg --track HD --to - --yes",
        ],
    ),
    (
        "key list",
        &["reelkey key list movies/bunny", "reelkey key list --track HD --state active --limit 20"],
    ),
    ("key show", &["reelkey key show 4d97930a-3d7b-5000-8000-5c7bda1f0a11"]),
    (
        "key rotate",
        &["reelkey key rotate movies/bunny", "reelkey key rotate movies/bunny --track HD"],
    ),
    (
        "key retire",
        &[
            "reelkey key retire 4d97930a-3d7b-5000-8000-5c7bda1f0a11",
            "reelkey key retire 4d97930a-3d7b-5000-8000-5c7bda1f0a11 --yes",
        ],
    ),
    ("kek list", &["reelkey kek list"]),
    ("kek rotate", &["reelkey kek rotate"]),
    ("kek rewrap", &["reelkey kek rewrap"]),
    ("kek retire", &["reelkey kek retire", "reelkey kek retire 1"]),
    (
        "root rotate",
        &["reelkey root rotate --keep-old /media/safe/root-2026.key", "reelkey root rotate --yes"],
    ),
    ("signer list", &["reelkey signer list"]),
    ("signer rotate", &["reelkey signer rotate", "reelkey signer rotate --now"]),
    (
        "issuer add",
        &[
            "reelkey issuer add https://auth.example --jwks auth.jwks.json --content 'movies/*'",
            "reelkey issuer add https://own.example --secret-file own.secret --content '*'",
            "reelkey issuer add https://dev.example --dev --content '*'",
        ],
    ),
    (
        "issuer update",
        &[
            "reelkey issuer update https://auth.example --jwks auth.jwks.json",
            "reelkey issuer update https://auth.example --content 'movies/*' --content 'series/*'",
        ],
    ),
    ("issuer list", &["reelkey issuer list"]),
    ("issuer remove", &["reelkey issuer remove https://auth.example"]),
    (
        "device ca add",
        &[
            "reelkey device ca add acme --certificate acme.pem --security-level HW_SECURE_ALL",
            "reelkey device ca add acme --certificate acme.pem --security-level HW_SECURE_ALL --crl acme.crl",
            "reelkey device ca add google --certificate google.pem --android-key-attestation --status-list status.json",
        ],
    ),
    ("device ca update", &["reelkey device ca update acme --crl acme.crl"]),
    ("device ca list", &["reelkey device ca list", "reelkey device ca list --json"]),
    ("device ca remove", &["reelkey device ca remove acme"]),
    (
        "device ca revoke",
        &[
            "reelkey device ca revoke e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ),
    (
        "device ca restore",
        &[
            "reelkey device ca restore e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ),
    (
        "packager add",
        &[
            "reelkey packager add encoder --content 'movies/*'",
            "reelkey packager add live --content 'live/*' --allow issue,read --policy live-event --secret-file live.secret",
            "reelkey packager add shaka --content '*' --widevine-signing-key-file shaka.signing-key",
        ],
    ),
    ("packager list", &["reelkey packager list"]),
    (
        "packager rotate-secret",
        &[
            "reelkey packager rotate-secret encoder",
            "reelkey packager rotate-secret encoder --secret-file new.secret",
        ],
    ),
    ("packager remove", &["reelkey packager remove encoder --yes"]),
    ("device list", &["reelkey device list --issuer https://auth.example --account alice"]),
    (
        "device show",
        &[
            "reelkey device show 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --issuer https://auth.example --account alice",
        ],
    ),
    (
        "device enroll",
        &[
            "reelkey device enroll 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --issuer https://auth.example --account alice --name tablet",
        ],
    ),
    (
        "device revoke",
        &[
            "reelkey device revoke 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --issuer https://auth.example --account alice",
        ],
    ),
    (
        "device restore",
        &[
            "reelkey device restore 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --issuer https://auth.example --account alice",
        ],
    ),
    (
        "device remove",
        &[
            "reelkey device remove 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --issuer https://auth.example --account alice",
        ],
    ),
    (
        "license list",
        &[
            "reelkey license list --live --limit 20",
            "reelkey license list --issuer https://auth.example --account alice",
            "reelkey license list --content movies/bunny --policy rental --json",
        ],
    ),
    ("license show", &["reelkey license show q83vEjRWeJCrze8SNFZ4kA"]),
    ("license revoke", &["reelkey license revoke q83vEjRWeJCrze8SNFZ4kA"]),
    ("license restore", &["reelkey license restore q83vEjRWeJCrze8SNFZ4kA"]),
    (
        "session list",
        &[
            "reelkey session list",
            "reelkey session list --issuer https://auth.example --account alice",
        ],
    ),
    ("session end", &["reelkey session end q83vEjRWeJCrze8SNFZ4kA"]),
    (
        "account erase",
        &["reelkey account erase --issuer https://auth.example --account alice --yes"],
    ),
    (
        "policy explain",
        &[
            "reelkey policy explain --token @alice.jwt --content movies/bunny",
            "reelkey policy explain --token @alice.jwt --at 2026-12-01T20:00:00Z --session-type persistent-license",
            "reelkey policy explain --token @alice.jwt --certificate tv.pem --address 192.0.2.1",
            "reelkey policy explain --token @alice.jwt --address 81.2.69.142",
            "reelkey policy explain < alice.jwt",
        ],
    ),
    ("token mint", &["reelkey token mint --sub alice --content movies/bunny --region US"]),
    (
        "token inspect",
        &[
            "reelkey token inspect @token.jwt --content movies/bunny",
            "reelkey token inspect < token.jwt",
        ],
    ),
    ("policy check", &["reelkey policy check", "reelkey policy check policies/premium-movie.toml"]),
    ("policy list", &["reelkey policy list"]),
    (
        "manifest",
        &[
            "reelkey manifest movies/bunny --format dash",
            "reelkey manifest movies/bunny --format dash --scheme cbcs --track HD",
            "reelkey manifest movies/bunny --format dash --authzurl https://www.example/authorize",
            "reelkey manifest movies/bunny --format hls",
        ],
    ),
    (
        "decrypt",
        &[
            "reelkey decrypt --key @pairs in.mp4 out.mp4",
            "reelkey decrypt --key @pairs --init init.mp4 segment.m4s - > clear.mp4",
            "reelkey decrypt --key @pairs --in-place film.mp4",
            "reelkey decrypt --key @pairs --init init.mp4 --out clear segment-1.m4s segment-2.m4s",
        ],
    ),
    (
        "inspect",
        &[
            "reelkey inspect film.mp4",
            "reelkey inspect --init init.mp4 segment.m4s",
            "reelkey inspect --json - < film.mp4",
        ],
    ),
    (
        "pssh decode",
        &[
            "reelkey pssh decode init.mp4",
            "reelkey pssh decode AAAAOHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABgSEPPF4DYeZlSyj4BJx3iyOUZI49yVmwY=",
            "reelkey pssh decode --key @pairs film.mpd",
            "reelkey pssh decode --json - < boxes.bin",
        ],
    ),
    (
        "pssh encode",
        &[
            "reelkey pssh encode --system widevine --kid 4d97930a-3d7b-5000-8000-5c7bda1f0a11 --scheme cbcs --content-id bunny",
            "reelkey pssh encode --system playready --key @pairs --la-url https://drm.example/playready",
            "reelkey pssh encode --system widevine --system playready --content movies/bunny --format binary > boxes.bin",
        ],
    ),
    (
        "completion",
        &[
            "reelkey completion bash > /etc/bash_completion.d/reelkey",
            "reelkey completion zsh > ~/.zfunc/_reelkey",
        ],
    ),
    (
        "man",
        &[
            "reelkey man | man -l -",
            "reelkey man key export | man -l -",
            "reelkey man --to /usr/local/share/man/man1",
        ],
    ),
    ("", &["reelkey demo", "reelkey init", "reelkey serve"]),
];

/// Adds the examples to the help of each command.
pub(super) fn with_examples(command: Command) -> Command {
    with_examples_of(command, "")
}

fn with_examples_of(command: Command, path: &str) -> Command {
    let found = EXAMPLES.iter().find(|(of, _)| *of == path);
    let command = match found {
        Some((_, lines)) => command.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
        None => command,
    };
    let below = |sub: Command| {
        let path = format!("{path} {}", sub.get_name());
        with_examples_of(sub, path.trim_start())
    };
    command.mut_subcommands(below)
}
