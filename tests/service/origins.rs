//! The dialects of ffmpeg, nginx-vod-module and Bento4, as their clients speak them.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64ct::{Base64, Encoding};
use reelkey::authority::key_directory::KeyDirectory;
use reelkey::authority::operation::key::RetireKey;
use reelkey::authority::operation::packager::RemovePackager;
use reelkey_client::key::KeyId;
use reelkey_client::pssh::playready::Checksum;
use reelkey_client::pssh::{PlayReady, Pssh, SystemId, Widevine};
use serde_json::{Value, json};

use crate::packagers::{hex, of, secret};
use crate::world::{NOW, Reply, World, key_hex, kid};

impl World {
    async fn post_as(&self, shown: Option<&str>, path: &str, body: &str) -> Reply {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(shown) = shown {
            request = request.header(AUTHORIZATION, shown);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// The two lines of a key info file.
    async fn key_info(&self, path: &str, headers: &[(&str, &str)]) -> [String; 2] {
        let mut request = Request::get(path).header(AUTHORIZATION, of("live"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = self.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.headers["content-type"], "text/plain");
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert!(reply.body.ends_with('\n'));
        let lines: Vec<_> = reply.body.lines().map(ToOwned::to_owned).collect();
        lines.try_into().unwrap()
    }
}

const INFO: &str = "/v1/keys/ffmpeg/movies/live/cam/HD.keyinfo";
const HOST: (&str, &str) = ("host", "keys.example:7420");

/// What follows the origin of a URL.
fn path_of(url: &str) -> &str {
    url.split_once("keys.example:7420").unwrap().1
}

#[tokio::test]
async fn ffmpeg_is_told_the_uri_of_the_playlist_and_where_the_key_is() {
    let world = World::with_packagers().await;
    let [uri, url] = world.key_info(INFO, &[HOST]).await;
    let kid = uri.strip_prefix("/v1/hls/movies/live/cam/").unwrap().strip_suffix(".key").unwrap();
    let kid: KeyId = kid.parse().unwrap();
    assert!(url.starts_with("http://keys.example:7420/v1/keys/ffmpeg/movies/live/cam/HD.key?"));
    // ffmpeg asks for it with nothing but this URL, as recorded.
    let request =
        Request::get(path_of(&url)).header("range", "bytes=0-").header("icy-metadata", "1");
    let key = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((key.status, key.bytes.len()), (200, 16), "{key:?}");
    assert_eq!(key.headers["cache-control"], "no-store");
    assert_eq!(world.key_of("live", "movies/live/cam", "HD").await.bytes, key.bytes);
    // A player that has a token gets the same.
    let token = world.token(|claims| claims["content_id"] = "movies/live/cam".into());
    let request = Request::get(&uri).header(AUTHORIZATION, format!("Bearer {token}"));
    let played = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((played.status, played.bytes), (200, key.bytes));
    let stored = world.shown("movies/live/cam").await.unwrap().keys;
    assert!(stored.len() == 1 && stored[0].kid == kid.to_string());
}

#[tokio::test]
async fn the_urls_of_a_key_info_are_those_by_which_its_readers_come() {
    let world = World::with_packagers().await;
    let origin = async |headers: &[(&str, &str)]| {
        let [_, url] = world.key_info(INFO, headers).await;
        url.split_once("/v1/").unwrap().0.to_owned()
    };
    assert_eq!(origin(&[HOST]).await, "http://keys.example:7420");
    assert_eq!(origin(&[HOST, ("x-forwarded-proto", "https")]).await, "https://keys.example:7420");
    assert_eq!(origin(&[HOST, ("x-forwarded-proto", "gopher")]).await, "http://keys.example:7420");
    assert_eq!(origin(&[("host", "[::1]:7420")]).await, "http://[::1]:7420");
    for wrong in ["a b", "a/b", "a@b", "a\"b", ""] {
        let request = Request::get(INFO).header(AUTHORIZATION, of("live")).header("host", wrong);
        let reply = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 400, "{wrong}: {reply:?}");
    }
    let path = format!("{INFO}?base=https://drm.example/");
    let [uri, _] = world.key_info(&path, &[HOST]).await;
    assert!(uri.starts_with("https://drm.example/v1/hls/movies/live/cam/"), "{uri}");
    for wrong in ["drm.example", "ftp://drm.example", "https://drm.example/%0aURI", "https://a\"b"]
    {
        let path = format!("{INFO}?base={wrong}");
        if let Ok(request) =
            Request::get(path).header(AUTHORIZATION, of("live")).body(Body::empty())
        {
            assert_eq!(world.send(request).await.status, 400, "{wrong}");
        }
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_one_key_of_one_packager_and_not_for_long() {
    let world = World::with_packagers().await;
    let [_, url] = world.key_info(INFO, &[HOST]).await;
    let get = async |path: &str| world.get_as(&[], path).await.status;
    let path = path_of(&url);
    assert_eq!(get(path).await, 200);
    let other = kid(1, 0).to_string();
    let own = path.split_once("kid=").unwrap().1.split_once('&').unwrap().0.to_owned();
    let until = (NOW + 300).to_string();
    for (what, wrong) in [
        ("another KID", path.replace(&own, &other)),
        ("another packager", path.replace("packager=live", "packager=encoder")),
        ("a later time", path.replace(&until, &(NOW + 301).to_string())),
        ("another ticket", path.replace("ticket=", "ticket=A")),
        ("no ticket", path.split_once("&ticket=").unwrap().0.to_owned()),
        ("an empty ticket", format!("{}&ticket=", path.split_once("&ticket=").unwrap().0)),
    ] {
        assert!(wrong != path, "{what}");
        assert_eq!(get(&wrong).await, 401, "{what}");
    }
    // In the path of another content it opens nothing either, and makes nothing.
    let elsewhere = path.replace("movies/live/cam", "movies/live/other");
    assert_eq!(get(&elsewhere).await, 409);
    assert!(world.shown("movies/live/other").await.is_none());
    assert_eq!(get(&path.replace("movies/live/cam", "movies/sintel")).await, 403);
    world.set_clock(NOW + 299);
    assert_eq!(get(path).await, 200);
    world.set_clock(NOW + 300);
    assert_eq!(get(path).await, 401);
    world.set_clock(NOW);
    world.administer(RetireKey { kid: own }, NOW).await;
    assert_eq!(get(path).await, 410);
    world.administer(RemovePackager { name: "live".parse().unwrap() }, NOW).await;
    assert_eq!(get(path).await, 401);
}

#[tokio::test]
async fn what_ffmpeg_cannot_have_meant_is_refused_with_a_sentence() {
    let world = World::with_packagers().await;
    for (path, status, says) in [
        ("movies/live/cam/HD.mp4", 404, "ask for <content_id>/<TRACK>.keyinfo"),
        ("HD.keyinfo", 404, "ask for <content_id>/<TRACK>.keyinfo"),
        ("movies/live/cam/4K.keyinfo", 400, "a track is one of"),
        ("movies/live/../cam/HD.keyinfo", 400, "a content ID is"),
        ("movies/live/a%20b/HD.keyinfo", 400, "a content ID is"),
    ] {
        let reply = world.get_as(&[&of("live")], &format!("/v1/keys/ffmpeg/{path}")).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(reply.body.contains(says), "{path}: {}", reply.body);
        assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    }
}

/// The member of an answer as bytes.
fn bytes(value: &Value) -> Vec<u8> {
    Base64::decode_vec(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn nginx_vod_module_gets_one_object_with_what_its_boxes_hold() {
    let world = World::with_packagers().await;
    let get = async |path: &str| {
        // As the module sends it: HTTP/1.0, a slash too many, and fields of its viewer.
        let request = Request::get(format!("/v1/keys/nginx-vod/{path}"))
            .version(axum::http::Version::HTTP_10)
            .header(AUTHORIZATION, format!("Bearer {}", secret("encoder")))
            .header("cookie", "viewer=1")
            .header("user-agent", "curl/7.88.1");
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let reply = get("/movies/sintel").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/json");
    assert!(reply.bytes.len() < 4096, "vod_drm_max_info_length");
    let answer = reply.json();
    let [object] = &answer.as_array().unwrap()[..] else { panic!("exactly one: {answer}") };
    let members: Vec<_> = object.as_object().unwrap().keys().collect();
    assert_eq!(members, ["key", "key_id", "pssh"]);
    let (own, key) = (kid(1, 0), key_hex(1, 0));
    assert_eq!(bytes(&object["key_id"]), own.as_bytes());
    assert_eq!(
        bytes(&object["key"]).iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        key
    );

    let systems = object["pssh"].as_array().unwrap();
    assert!(!systems.is_empty(), "the module does not take an empty list");
    let data = |uuid: &str| {
        let of = systems.iter().filter(|system| system["uuid"] == uuid).collect::<Vec<_>>();
        let [system] = &of[..] else { panic!("{uuid} once: {systems:?}") };
        bytes(&system["data"])
    };
    let widevine = Widevine::parse(&data("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed")).unwrap();
    assert_eq!(widevine.key_ids, [own]);
    assert_eq!(widevine.content_id.as_deref(), Some(&b"movies/sintel"[..]));
    let playready = PlayReady::parse(&data("9a04f079-9840-4286-ab92-e65be0885f95")).unwrap();
    assert_eq!(playready.keys.len(), 1);
    assert_eq!(playready.keys[0].kid, own);
    let key = reelkey_client::key::ContentKey::parse_hex(&key).unwrap();
    assert_eq!(playready.keys[0].checksum, Some(Checksum::of(own, &key)));
    // The module writes version 1 of this box and copies what is here behind the system ID.
    let common = data("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b");
    assert_eq!(common, [&[0, 0, 0, 1][..], own.as_bytes(), &[0; 4]].concat());
    let written = [&[1, 0, 0, 0][..], &SystemId::COMMON.0, &common].concat();
    let parsed = Pssh::parse_body(&written).unwrap();
    assert_eq!(parsed.all_kids().into_iter().collect::<Vec<_>>(), [own]);

    // Every way to write the path is the same file.
    for same in ["movies/sintel", "movies//sintel/", "//movies/sintel/SD", "movies/sintel//SD"] {
        assert_eq!(get(same).await.body, reply.body, "{same}");
    }
    let other = get("movies/sintel/HD").await;
    assert!(other.status == 200 && other.body != reply.body);
    for (wrong, status) in [("movies/none", 404), ("series/one", 403), ("a%3Fb", 400), ("/", 400)] {
        assert_eq!(get(wrong).await.status, status, "{wrong}");
    }
}

/// The longest content ID fits too.
#[tokio::test]
async fn the_answer_for_nginx_vod_module_stays_within_its_limit() {
    let world = World::with_packagers().await;
    let content = format!("movies/live/{}", "x".repeat(116));
    let path = format!("/v1/keys/nginx-vod/{content}/UHD2");
    let reply = world.get_as(&[&of("live")], &path).await;
    assert!(reply.status == 200 && reply.bytes.len() <= 4096, "{}", reply.bytes.len());
}

const SKM: &str = "/v1/keys/skm";

#[tokio::test]
async fn bento4_posts_a_content_id_and_gets_one_key() {
    let world = World::with_packagers().await;
    let with_token = format!("{SKM}?token={}", secret("live"));
    // As recorded, but for the name of the title.
    let body = r#"{"contentId": "movies/live/movie1"}"#;
    let first = world.post_as(None, &with_token, body).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.headers["content-type"], "application/json");
    let answer = first.json();
    let members: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["k", "kid"]);
    for member in ["k", "kid"] {
        let text = answer[member].as_str().unwrap();
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(text.len() == 32 && text.bytes().all(is_hex), "{member}: {text}");
    }
    assert_eq!(world.post_as(Some(&of("live")), SKM, body).await.body, first.body);
    let own = &answer["kid"];
    // By KID, in both ways, and with dashes.
    let by_kid = json!({ "kid": own }).to_string();
    assert_eq!(world.post_as(None, &with_token, &by_kid).await.body, first.body);
    let kid: KeyId = own.as_str().unwrap().parse().unwrap();
    for kid in [hex(kid), kid.to_string()] {
        let path = format!("{SKM}/{kid}?token={}", secret("live"));
        assert_eq!(world.get_as(&[], &path).await.body, first.body);
    }
    // One key for all tracks; another one for a track that is named.
    let stored = world.shown("movies/live/movie1").await.unwrap().keys;
    assert!(stored.len() == 1 && stored[0].track_type.is_none(), "{stored:?}");
    let audio = world.post_as(None, &format!("{with_token}&track=AUDIO"), body).await.json();
    assert_ne!(audio["kid"], *own);
    let all = world.post_as(None, &format!("{with_token}&track=ALL"), body).await;
    assert_eq!(all.body, first.body);
    // The client may choose the KID.
    let chosen = json!({ "contentId": "movies/live/movie2", "kid": "5a".repeat(16) }).to_string();
    let chosen = world.post_as(None, &with_token, &chosen).await.json();
    assert_eq!(chosen["kid"], "5a".repeat(16));
}

#[tokio::test]
async fn what_bento4_cannot_have_is_refused_with_a_sentence() {
    let world = World::with_packagers().await;
    let long = format!(r#"{{"contentId":"movies/live/a","info":"{}"}}"#, "x".repeat(5000));
    let wrapped = json!({ "kid": "00".repeat(16), "ek": "00".repeat(24), "kekId": "#1.a8" });
    for (body, status, says) in [
        (r#"{"contentId":"movies/none","info":"SD"}"#, 403, "may not do this"),
        (r#"{"contentId":"movies/live/a","contentId":"movies/live/b"}"#, 400, "no request"),
        (r#"{"contentId":"a b"}"#, 400, "a content ID is"),
        (r#"{"kid":"xyz"}"#, 400, "32 hexadecimal digits"),
        (r#"{"info":"x"}"#, 400, "name a contentId or a kid"),
        ("", 400, "no request"),
        ("[]", 400, "no request"),
        (&*wrapped.to_string(), 400, "ek is not supported"),
        (&*long, 413, "4096 bytes"),
    ] {
        let reply = world.post_as(Some(&of("live")), SKM, body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(reply.body.contains(says), "{body}: {}", reply.body);
    }
    let reply = world.post_as(None, &format!("{SKM}?token=wrong-secret"), "{}").await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let unknown_track = format!("{SKM}?token={}&track=4K", secret("live"));
    let body = r#"{"contentId":"movies/live/a"}"#;
    assert_eq!(world.post_as(None, &unknown_track, body).await.status, 400);
    let before_who = world.get_as(&[], &format!("{SKM}/xyz")).await;
    assert_eq!(before_who.status, 401, "who asks comes before what is asked");
}

#[tokio::test]
async fn keys_that_an_origin_wrote_are_given_under_the_rules_of_a_content() {
    let world = World::with_packagers().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("app")).unwrap();
    std::fs::write(folder.path().join("cam1-0.key"), [7; 16]).unwrap();
    std::fs::write(folder.path().join("app/stream-5.key"), [8; 16]).unwrap();
    std::fs::write(folder.path().join("half.key"), [8; 7]).unwrap();
    let path = folder.path().to_owned();
    let change = world.authority.change().await;
    let directory = KeyDirectory { path, content: "movies/clear".parse().unwrap() };
    let before = change.before();
    change.put(reelkey::authority::in_force::Snapshot {
        key_directories: [directory].into(),
        ..before
    });
    let get = async |policy: &str, file: &str| {
        let token = world.token(|claims| {
            claims["content_id"] = "movies/clear".into();
            claims["policy_id"] = policy.into();
        });
        let request = Request::get(format!("/v1/hls/movies/clear/{file}"));
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        world.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(get("clear-hls", "cam1-0.key").await.bytes, [7; 16]);
    assert_eq!(get("clear-hls", "app/stream-5.key").await.bytes, [8; 16]);
    // The next key is there as soon as the origin has written it.
    get("clear-hls", "cam1-3.key").await.refuses(403, "key-not-found");
    std::fs::write(folder.path().join("cam1-3.key"), [9; 16]).unwrap();
    assert_eq!(get("clear-hls", "cam1-3.key").await.bytes, [9; 16]);
    get("clear-hls", "half.key").await.refuses(403, "key-not-found");
    get("clear-eme", "cam1-0.key").await.refuses(403, "clear-keys-not-allowed");
    get("clear-us", "cam1-0.key").await.refuses(403, "region-denied");
    get("clear-hls", "../cam1-0.key").await.refuses(404, "not-found");
    get("clear-hls", ".hidden.key").await.refuses(404, "not-found");
    let nobody = Request::get("/v1/hls/movies/clear/cam1-0.key").body(Body::empty());
    world.send(nobody.unwrap()).await.refuses(403, "token-missing");
    // A token for another title opens nothing here.
    let token = world.token(|_| ());
    let request = Request::get("/v1/hls/movies/clear/cam1-0.key");
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::empty()).unwrap()).await.refuses(403, "not-authorized");
}
