//! Who a packager is and what it may do: credentials, patterns, permissions.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use reelkey::authority::in_force::Snapshot;
use reelkey::authority::operation::content::{
    AddContent, ContentShown, RemoveContent, ShowContent,
};
use reelkey::authority::operation::key::RetireKey;
use reelkey::authority::operation::order::Actor;
use reelkey::authority::operation::packager::{AddPackager, RemovePackager, RotatePackagerSecret};
use reelkey::authority::packager::SecretHash;
use reelkey::crypto::digest::sha256;
use reelkey::domain::content::ContentId;
use reelkey::domain::packager::Permission;
use reelkey_client::key::KeyId;

use crate::world::{NOW, Reply, World, key_hex, kid, time};

/// The secret of a packager of this name.
pub(crate) fn secret(name: &str) -> String {
    format!("the-secret-of-{name}")
}

pub(crate) fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{name}:{secret}").as_bytes()))
}

/// What a packager of this name shows.
pub(crate) fn of(name: &str) -> String {
    basic(name, &secret(name))
}

pub(crate) fn sha256_text(secret: &str) -> String {
    Base64UrlUnpadded::encode_string(&sha256(secret.as_bytes()))
}

/// A packager of these contents that may issue.
pub(crate) fn packager(name: &str, content: &[&str]) -> AddPackager {
    AddPackager {
        name: name.parse().unwrap(),
        content: content.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        allow: [Permission::Issue].into(),
        policies: Vec::new(),
        secret_sha256: SecretHash::of(secret(name).as_bytes()),
        is_secret_new: false,
        signing: None,
        client_ca: None,
    }
}

impl World {
    /// A world with the packager `live`, which may issue and read keys of movies/live/* and add contents there, and
    /// `encoder`, which may issue keys of movies/*.
    pub(crate) async fn with_packagers() -> Self {
        let world = Self::new().await;
        let live = AddPackager {
            allow: Permission::ALL.into(),
            policies: vec!["clear-hls".into()],
            ..packager("live", &["movies/live/*"])
        };
        world.administer(live, NOW).await;
        world.administer(packager("encoder", &["movies/*"]), NOW).await;
        world
    }

    /// Gets a path of packagers with these `Authorization` fields.
    pub(crate) async fn get_as(&self, shown: &[&str], path: &str) -> Reply {
        let mut request = Request::get(path).header("host", "keys.example");
        for field in shown {
            request = request.header(AUTHORIZATION, *field);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A content and its keys; `None` if it does not exist.
    pub(crate) async fn shown(&self, content: &str) -> Option<ContentShown> {
        let show = ShowContent { content_id: content.parse().unwrap() };
        self.authority.administer(show, Actor::User { uid: 1000 }, time(NOW)).await.ok()
    }

    /// Takes a policy out of force, whoever names it.
    async fn without_policy(&self, name: &str) {
        let change = self.authority.change().await;
        let before = change.before();
        let mut policies = before.policies.as_ref().clone();
        policies.remove(name).unwrap();
        change.put(Snapshot { policies: policies.into(), ..before });
    }

    /// The 16 bytes of a key that ffmpeg's dialect answers.
    pub(crate) async fn key_of(&self, name: &str, content: &str, track: &str) -> Reply {
        let path = format!("/v1/keys/ffmpeg/{content}/{track}.key");
        self.get_as(&[&of(name)], &path).await
    }
}

/// Everything of an answer but its ID.
fn told(reply: &Reply) -> (u16, String, String) {
    let mut headers = reply.headers.clone();
    headers.remove("x-request-id");
    (reply.status, format!("{headers:?}"), reply.body.clone())
}

const FILE: &str = "/v1/keys/ffmpeg/movies/sintel/SD.key";

#[tokio::test]
async fn a_packager_is_known_by_name_and_secret_or_by_its_secret_as_a_bearer_token() {
    let world = World::with_packagers().await;
    let bearer = format!("Bearer {}", secret("encoder"));
    for right in [of("encoder"), bearer.clone(), bearer.replace("Bearer", "bEARER")] {
        let reply = world.get_as(&[&right], FILE).await;
        assert_eq!((reply.status, reply.bytes.len()), (200, 16), "{right}: {reply:?}");
    }
    let own = secret("encoder");
    for (what, wrong) in [
        ("another secret", basic("encoder", "the-secret-of-nobody")),
        ("a longer secret", basic("encoder", &format!("{own}x"))),
        ("no secret", basic("encoder", "")),
        ("the hash of the secret", basic("encoder", &sha256_text(&own))),
        ("another name", basic("live", &own)),
        ("a name that nobody has", basic("nobody", &own)),
        ("no name", basic("", &own)),
        ("another bearer token", format!("Bearer {own}x")),
        ("an empty bearer token", "Bearer ".into()),
        ("another scheme", format!("Digest {own}")),
        ("no base64", "Basic encoder".into()),
        ("nothing that can be read", "\u{1}".into()),
    ] {
        if axum::http::HeaderValue::from_str(&wrong).is_err() {
            continue;
        }
        let reply = world.get_as(&[&wrong], FILE).await;
        assert_eq!(reply.status, 401, "{what}: {reply:?}");
        assert_eq!(reply.body, "no packager has this name and secret\n", "{what}");
        let challenge = reply.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm=\"reelkey\""), "{what}: {challenge}");
        assert_eq!(reply.headers["cache-control"], "no-store");
    }
    // Two right ones are one too many: which of them counts would be a guess.
    assert_eq!(world.get_as(&[&of("encoder"), &of("encoder")], FILE).await.status, 401);
}

#[tokio::test]
async fn who_shows_nothing_is_challenged() {
    let world = World::with_packagers().await;
    let kid = kid(1, 0);
    for path in [
        FILE.to_owned(),
        "/v1/keys/ffmpeg/movies/sintel/SD.keyinfo".into(),
        "/v1/keys/nginx-vod/movies/sintel/SD".into(),
        format!("/v1/keys/skm/{kid}"),
        // Only the client that can set no header shows its secret here.
        format!("{FILE}?token={}", secret("encoder")),
        format!("/v1/keys/nginx-vod/movies/sintel?token={}", secret("encoder")),
    ] {
        let reply = world.get_as(&[], &path).await;
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
        assert!(reply.headers.contains_key("www-authenticate"), "{path}");
        assert!(reply.body.starts_with("say which packager you are"), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_secret_that_was_replaced_and_a_packager_that_was_removed_count_no_more() {
    let world = World::with_packagers().await;
    assert_eq!(world.get_as(&[&of("encoder")], FILE).await.status, 200);
    let (name, new) = ("encoder".parse().unwrap(), "another-secret");
    let secret_sha256 = SecretHash::of(new.as_bytes());
    world.administer(RotatePackagerSecret { name, secret_sha256 }, NOW).await;
    assert_eq!(world.get_as(&[&of("encoder")], FILE).await.status, 401);
    assert_eq!(world.get_as(&[&basic("encoder", new)], FILE).await.status, 200);
    let world = world.restarted().await;
    assert_eq!(world.get_as(&[&of("encoder")], FILE).await.status, 401);
    assert_eq!(world.get_as(&[&basic("encoder", new)], FILE).await.status, 200);
    world.administer(RemovePackager { name: "encoder".parse().unwrap() }, NOW).await;
    assert_eq!(world.get_as(&[&basic("encoder", new)], FILE).await.status, 401);
}

#[tokio::test]
async fn a_packager_learns_nothing_of_contents_that_are_not_its_own() {
    let world = World::with_packagers().await;
    let ask = async |path: &str| told(&world.get_as(&[&of("live")], path).await);
    for (there, not_there) in [
        ("movies/sintel", "movies/nothing"),
        ("movies/bunny", "movies/live"),
        ("series/one", "series/two"),
    ] {
        for path in ["ffmpeg/ID/SD.key", "ffmpeg/ID/SD.keyinfo", "nginx-vod/ID/SD"] {
            let path = |content| format!("/v1/keys/{path}").replace("ID", content);
            let answer = ask(&path(there)).await;
            assert_eq!(answer.0, 403, "{answer:?}");
            assert_eq!(answer, ask(&path(not_there)).await);
        }
    }
    // Nor of KIDs.
    let unknown = KeyId::from_bytes([9; 16]);
    let [there, not_there] = [kid(1, 0), unknown].map(|kid| format!("/v1/keys/skm/{kid}"));
    let answer = ask(&there).await;
    assert_eq!(answer.0, 404, "{answer:?}");
    assert_eq!(answer, ask(&not_there).await);
}

#[tokio::test]
async fn who_may_only_issue_reads_nothing_and_who_may_only_read_makes_nothing() {
    let world = World::with_packagers().await;
    let reader = AddPackager {
        allow: [Permission::Read].into(),
        policies: vec!["open".into()],
        ..packager("reader", &["movies/*"])
    };
    world.administer(reader, NOW).await;
    let by_kid = format!("/v1/keys/skm/{}", kid(1, 0));
    let reply = world.get_as(&[&of("encoder")], &by_kid).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let reply = world.get_as(&[&of("reader")], &by_kid).await;
    let expected = format!(r#"{{"kid":"{}","k":"{}"}}"#, hex(kid(1, 0)), key_hex(1, 0));
    assert_eq!((reply.status, &reply.body), (200, &expected));
    for content in ["movies/sintel", "movies/new"] {
        assert_eq!(world.key_of("reader", content, "SD").await.status, 403, "{content}");
    }
    assert!(world.shown("movies/new").await.is_none());
}

pub(crate) fn hex(kid: KeyId) -> String {
    kid.to_string().replace('-', "")
}

#[tokio::test]
async fn a_content_is_added_only_by_who_has_policies_for_it_that_are_in_force() {
    let world = World::with_packagers().await;
    let reply = world.key_of("encoder", "movies/new", "SD").await;
    assert_eq!(reply.status, 404, "{reply:?}");
    assert_eq!(reply.body, "there is no content movies/new, and this packager may add none\n");
    assert_eq!(world.key_of("live", "movies/live/new", "SD").await.status, 200);
    let added = world.shown("movies/live/new").await.unwrap();
    assert_eq!((added.content.policies, added.keys.len()), (vec!["clear-hls".to_owned()], 1));

    let late = AddPackager { policies: vec!["late".into()], ..packager("late", &["movies/*"]) };
    let refused = world.authority.administer(late, Actor::User { uid: 1000 }, time(NOW)).await;
    assert!(format!("{refused:?}").contains("NoPolicy"), "{refused:?}");
    // A policy may go away while a packager still names it.
    world.without_policy("clear-hls").await;
    let reply = world.key_of("live", "movies/live/other", "SD").await;
    assert_eq!(reply.status, 409, "{reply:?}");
    assert!(reply.body.contains("clear-hls"), "{}", reply.body);
    assert!(world.shown("movies/live/other").await.is_none());
    // What is there is still given: an encoder goes on.
    assert_eq!(world.key_of("live", "movies/live/new", "SD").await.status, 200);
}

#[tokio::test]
async fn a_content_that_was_removed_and_added_again_has_other_keys() {
    let world = World::with_packagers().await;
    let ask = async || {
        let fixed = world.key_of("live", "movies/live/one", "SD").await;
        let path = "/v1/keys/ffmpeg/movies/live/one/SD.key?crypto_period_seconds=10";
        let of_period = world.get_as(&[&of("live")], path).await;
        assert_eq!((fixed.status, of_period.status), (200, 200));
        (fixed.bytes, of_period.bytes)
    };
    let before = ask().await;
    assert_eq!(ask().await, before);
    for key in world.shown("movies/live/one").await.unwrap().keys {
        world.administer(RetireKey { kid: key.kid }, NOW).await;
    }
    let content_id: ContentId = "movies/live/one".parse().unwrap();
    world.administer(RemoveContent { content_id: content_id.clone() }, NOW).await;
    let policies = vec!["open".to_owned()];
    let add = AddContent { content_id, policies, crypto_period_seconds: None };
    world.administer(add, NOW).await;
    let after = ask().await;
    assert!(after.0 != before.0 && after.1 != before.1);
}
