//! `reelkey token`: mints authorization tokens for development, and shows any token.

use clap::{Args, Subcommand};
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::strict::{json, jws};
use serde_json::{Value, json};

use crate::authority::issuing::token as authorization;
use crate::authority::operation::token::{JudgeToken, TokenJudged};
use crate::cli::account_argument::parse_thumbprint;
use crate::cli::clock;
use crate::cli::folder::config::Config;
use crate::cli::folder::issuer_files::development_key;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::claim_name::ClaimName;
use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::duration::Duration;
use crate::domain::region::Region;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token that a development issuer signs.
    Mint(Box<MintArgs>),
    /// Show the claims of a token, and whether it would be accepted now.
    Inspect {
        /// The token: @FILE. The default is standard input.
        token: Option<SecretArgument>,
        /// Judge it for this content; otherwise for each content that the token names exactly.
        #[arg(long, value_name = "ID")]
        content: Option<ContentId>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// The development issuer. It can be omitted if there is only one.
    #[arg(long)]
    issuer: Option<String>,
    /// The viewer's account.
    #[arg(long)]
    sub: String,
    /// The contents that it permits: movies/bunny, movies/* or *.
    #[arg(long, value_name = "PATTERN")]
    content: Vec<ContentPattern>,
    /// The keys that it permits.
    #[arg(long, value_name = "KID")]
    kid: Vec<KeyId>,
    /// The viewer's region: US or US-CA.
    #[arg(long)]
    region: Option<Region>,
    /// The policy to apply.
    #[arg(long)]
    policy: Option<String>,
    /// The only device that may use it, by the thumbprint of its key.
    // One thumbprint in 64 begins with a hyphen.
    #[arg(long, value_name = "JKT", value_parser = parse_thumbprint, allow_hyphen_values = true)]
    device: Option<Thumbprint>,
    /// The viewer's authentication methods (RFC 8176): pwd, mfa.
    #[arg(long)]
    amr: Vec<String>,
    /// The purchase or rental that it is for.
    #[arg(long, value_name = "ID")]
    entitlement: Option<String>,
    /// What it may be used for besides playing (RFC 9068): devices.
    #[arg(long)]
    scope: Vec<String>,
    /// The token's lifetime.
    #[arg(long, default_value = "1h")]
    life: Duration,
    /// Date it back by this long, to try what a viewer sees whose token has expired.
    #[arg(long, value_name = "DURATION")]
    age: Option<Duration>,
}

pub(crate) async fn run(folder: &Folder, command: TokenCommand) -> Result<Output, Failure> {
    match command {
        TokenCommand::Mint(args) => mint(folder, *args),
        TokenCommand::Inspect { token, content } => inspect(folder, token, content).await,
    }
}

fn mint(folder: &Folder, args: MintArgs) -> Result<Output, Failure> {
    let config = Config::read(folder)?;
    let mut developers = config.issuers.iter().filter(|entry| {
        entry.development && args.issuer.as_ref().is_none_or(|wanted| *wanted == entry.iss)
    });
    let (Some(entry), None) = (developers.next(), developers.next()) else {
        return Err(Failure::new("there is no such development issuer, or more than one")
            .remedy("name one with --issuer, or make one with `reelkey issuer add ISS --dev`"));
    };
    if args.content.is_empty() && args.kid.is_empty() && args.scope.is_empty() {
        return Err(Failure::new("the token would permit nothing")
            .remedy("add --content, --kid or --scope devices"));
    }
    let iat = clock::now().saturating_sub(args.age.map_or(0, |age| age.as_secs()));
    let mut claims = json!({
        "iss": entry.iss,
        "sub": args.sub,
        "aud": entry.audience.as_ref().unwrap_or(&config.service_id.0),
        "iat": iat.as_secs(),
        "exp": iat.saturating_add(args.life.as_secs()).as_secs(),
    });
    let texts = |list: &[ContentPattern]| list.iter().map(ToString::to_string).collect::<Value>();
    let mut insert = |name: &str, value: Option<Value>| {
        if let (Some(members), Some(value)) = (claims.as_object_mut(), value) {
            members.insert(name.into(), value);
        }
    };
    let content_claim = entry.content_claim.as_ref().map_or("content_id", ClaimName::as_str);
    insert(content_claim, (!args.content.is_empty()).then(|| texts(&args.content)));
    let kids = args.kid.iter().map(ToString::to_string).collect::<Value>();
    insert("authorized_kids", (!args.kid.is_empty()).then_some(kids));
    insert("region", args.region.map(|region| region.to_string().into()));
    insert("policy_id", args.policy.map(Value::from));
    insert("cnf", args.device.map(|jkt| json!({ "jkt": jkt.to_string() })));
    insert("entitlement_id", args.entitlement.map(Value::from));
    insert("scope", (!args.scope.is_empty()).then(|| args.scope.join(" ").into()));
    insert("amr", (!args.amr.is_empty()).then(|| args.amr.into()));

    let token = development_key(folder, entry)?.mint(&claims)?;
    // Verified here in the same way as `serve` would, so that an error shows now and not at a player. What is dated
    // back is meant to be refused later.
    authorization::read(&config.issuers(folder)?, &token, iat)
        .map_err(|fault| Failure::from(fault).during("the service would refuse this token"))?;
    Ok(Output::new(json!({ "token": token, "claims": claims }), token))
}

/// Shows what a token says, and what the service says of it: by its own code, in the service or on the store.
async fn inspect(
    folder: &Folder,
    token: Option<SecretArgument>,
    content_id: Option<ContentId>,
) -> Result<Output, Failure> {
    let token = token.unwrap_or_else(|| SecretArgument::File("-".into())).read()?;
    let expect = jws::Expect {
        bytes_max: authorization::BYTES_MAX,
        typ: &["JWT", "at+jwt"],
        typ_optional: true,
        own_key: false,
    };
    let jws = jws::Compact::parse(token.as_bytes(), expect)?;
    let claims: Value = json::read(&jws.payload)?;
    let header = Value::Object(jws.header.clone());
    // An issuer that cannot be read is said here, and not taken for an unknown one.
    Config::read(folder)?.issuers(folder)?;
    let operation = JudgeToken { token: token.clone(), content_id };
    let verdict = operator::execute(folder, operation).await?;
    let text = format!(
        "{header}\n{}\n{}",
        serde_json::to_string_pretty(&claims)?,
        told(&verdict, &claims)
    );
    let document = json!({ "header": header, "claims": claims, "verdict": verdict });
    let output = Output::new(document, text);
    match verdict.accepted {
        true => Ok(output),
        false => Err(Failure::new("the service refuses this token").after(output)),
    }
}

/// The verdict for people.
fn told(verdict: &TokenJudged, claims: &Value) -> String {
    let of = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut lines = match (&verdict.why, verdict.accepted) {
        (Some(why), _) => vec![format!("refused now: {why}")],
        (None, true) => vec![format!("accepted now, for {:?} of {:?}", of("sub"), of("iss"))],
        (None, false) => vec!["refused now, for every content that it names:".into()],
    };
    for content in &verdict.contents {
        lines.push(match (&content.reason, &content.rule) {
            (None, _) => format!("  {}: a license is granted", content.content_id),
            (Some(reason), None) => format!("  {}: {reason}", content.content_id),
            (Some(reason), Some(rule)) => format!(
                "  {}: {reason}, by {rule}: expected {:?}, got {:?}",
                content.content_id,
                content.expected.as_deref().unwrap_or_default(),
                content.actual.as_deref().unwrap_or_default()
            ),
        });
    }
    lines.join("\n")
}
