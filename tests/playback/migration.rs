//! Data folders of earlier versions.

use serde_json::Value;

use crate::film::obtain;
use crate::installation::Installation;

/// The keys of the folder, with their track types and states.
const KEYS: [(&str, Option<&str>, &str); 5] = [
    ("4d97930a-3d7b-5000-8000-5c7bda1f0a00", None, "retired"),
    ("846b291a-6a4f-4385-af53-ec649e41837f", Some("AUDIO"), "active"),
    ("b7e11ed8-0854-461b-8b1e-1e1695c96fd6", Some("HD"), "active"),
    ("d77fe714-6c0a-4f67-a554-f8f40e4169b3", None, "active"),
    ("f3b07acf-0f2d-4b4c-896b-fcbb0fdeb722", Some("SD"), "active"),
];

fn holds_everything(installation: &Installation) {
    let keys = installation.succeed(&["key", "list"]);
    let mut keys: Vec<_> = keys.as_array().unwrap().iter().collect();
    keys.sort_by_key(|key| key["kid"].to_string());
    assert_eq!(keys.len(), KEYS.len());
    for (key, (kid, track, state)) in keys.into_iter().zip(KEYS) {
        assert_eq!(key["kid"], kid);
        assert_eq!((key["track_type"].as_str(), &key["state"]), (track, &Value::from(state)));
        assert_eq!(key["content_id"], "movies/bunny");
    }
    let contents = installation.succeed(&["content", "list"]);
    let contents: Vec<_> = contents.as_array().unwrap().iter().collect();
    assert_eq!(contents[0]["content_id"], "movies/bunny");
    assert_eq!(contents[1]["content_id"], "movies/empty");
    assert_eq!(contents[1]["policies"], serde_json::json!(["default", "premium-movie"]));
}

#[test]
fn a_store_of_an_earlier_version_serves_as_before() {
    let installation = Installation::of_format_1();
    holds_everything(&installation);
    let said = installation.succeed(&["doctor"]).to_string();
    assert!(said.contains("every secret opens; 2 contents, 5 keys, 2 generations"), "{said}");

    let token = installation.mint(&["--content", "movies/bunny"]);
    let service = installation.serve();
    assert_eq!(obtain(&service, &token).keys.len(), 4, "all but the retired one");
    // What the earlier version wrote can be changed by this one.
    installation.succeed(&["key", "retire", KEYS[1].0]);
    installation.succeed(&["kek", "rewrap"]);
    installation.succeed(&["root", "rotate"]);
    assert_eq!(obtain(&service, &token).keys.len(), 3);
    service.terminate();
    for (kid, ..) in KEYS {
        installation.succeed(&["key", "retire", kid]);
    }
    assert_eq!(installation.succeed(&["content", "remove", "movies/bunny"])["keys"], 5);
}

#[test]
fn the_service_itself_brings_a_store_up_to_date() {
    let installation = Installation::of_format_1();
    let token = installation.mint(&["--content", "movies/bunny"]);
    let service = installation.serve();
    assert_eq!(obtain(&service, &token).keys.len(), 4);
    service.terminate();
    holds_everything(&installation);
}
