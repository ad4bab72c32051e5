//! CPIX documents that are refused, and packagers that may not have them.

use reelkey::authority::operation::packager::AddPackager;
use reelkey::domain::packager::Permission;

use crate::cpix::{CPIX, KIDS, get, granted, keys, post, refused, request, world};
use crate::packager::{basic, rights};
use crate::world::{key_hex, kid};

/// Documents that contradict themselves, each with what is said of it.
fn contradictions() -> Vec<(String, &'static str)> {
    let [one, other] = KIDS;
    let list = |inside: &str| {
        format!("<CPIX xmlns='{CPIX}'>\n<ContentKeyList>\n{inside}</ContentKeyList></CPIX>")
    };
    let key = format!("<ContentKey kid='{one}'/>");
    let beside = |inside: &str| {
        format!("<CPIX xmlns='{CPIX}'><ContentKeyList>{key}</ContentKeyList>\n{inside}</CPIX>")
    };
    let system = |inside: &str, id: &str| {
        beside(&format!("<DRMSystemList>\n<DRMSystem {inside} systemId='{id}'/></DRMSystemList>"))
    };
    let widevine = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
    let rule = |inside: &str| {
        beside(&format!(
            "<ContentKeyUsageRuleList>\n<ContentKeyUsageRule {inside}</ContentKeyUsageRuleList>"
        ))
    };
    vec![
        (String::new(), "the body is empty"),
        ("<CPIX".into(), "not well-formed"),
        ("<CPIX xmlns='urn:other'/>".into(), "line 1: the root is CPIX and not"),
        (
            "<!DOCTYPE CPIX [<!ENTITY a 'b'>]><CPIX/>".into(),
            "line 1: the XML document has a document type",
        ),
        (format!("<CPIX xmlns='{CPIX}'/>"), "no ContentKeyList with a ContentKey"),
        (list("<ContentKey/>"), "line 3: ContentKey has no kid"),
        (list("<ContentKey kid='1'/>"), "line 3: ContentKey: a key ID is"),
        (list(&format!("{key}\n{key}")), "line 4: two ContentKey have the kid"),
        (
            list(&format!("<ContentKey kid='{one}' commonEncryptionScheme='aes'/>")),
            "line 3: commonEncryptionScheme:",
        ),
        (
            list(&format!("<ContentKey kid='{one}'><Data/></ContentKey>")),
            "line 3: a ContentKey has a key already",
        ),
        (system(&format!("kid='{other}'"), widevine), "line 3: DRMSystem is for 22222222"),
        (system("", widevine), "line 3: DRMSystem has no kid"),
        (system(&format!("kid='{one}'"), "x"), "line 3: the systemId of a DRMSystem is no UUID"),
        (
            system(&format!("kid='{one}'"), other),
            "line 3: the DRM system 22222222-2222-4222-8222-222222222222 is not known",
        ),
        (rule(&format!("kid='{other}'/>")), "line 3: a usage rule is for 22222222"),
        (rule(&format!("kid='{one}' intendedTrackType='4K'/>")), "line 3: \"4K\" is no track type"),
        (
            rule(&format!("kid='{one}'><KeyPeriodFilter periodId='x'/></ContentKeyUsageRule>")),
            "there is no ContentKeyPeriod \"x\"",
        ),
        (
            beside("<ContentKeyPeriodList><ContentKeyPeriod id='a'/></ContentKeyPeriodList>"),
            "neither index nor start",
        ),
        (
            beside("<ContentKeyPeriodList><ContentKeyPeriod index='-1'/></ContentKeyPeriodList>"),
            "from 0 to 4294967295",
        ),
        (
            beside("<DeliveryDataList><DeliveryData/></DeliveryDataList>"),
            "DeliveryData has no DeliveryKey",
        ),
        (
            format!(
                "<CPIX xmlns='{CPIX}' contentId='movies/other'><ContentKeyList>{key}</ContentKeyList></CPIX>"
            ),
            "the document names the content movies/other",
        ),
    ]
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_with_the_line() {
    let world = world().await;
    for (body, what) in contradictions() {
        refused(&post(&world, "/v1/keys/cpix/movies/asked", body).await, 400, what);
    }
    refused(&get(&world, "/v1/keys/cpix/movies/asked?scheme=x").await, 400, "scheme:");
    refused(&get(&world, "/v1/keys/cpix/movies//x").await, 400, "a content ID is");
    let long = format!("<CPIX>{}</CPIX>", " ".repeat(256 * 1024));
    let reply = post(&world, "/v1/keys/cpix/movies/asked", long).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    // Nothing of all this has made a key.
    let whole = get(&world, "/v1/keys/cpix/movies/asked").await;
    assert_eq!(keys(&granted(&whole)).len(), 3);
}

#[tokio::test]
async fn who_may_not_gets_nothing() {
    let world = world().await;
    let content = vec!["series/*".parse().unwrap()];
    world.add_packager(AddPackager { content, ..rights("series") }).await;
    let allow = [Permission::Read].into();
    world.add_packager(AddPackager { allow, ..rights("reader") }).await;
    world.add_packager(AddPackager { policies: Vec::new(), ..rights("maker") }).await;
    let body = request("");
    let path = "/v1/keys/cpix/movies/asked";
    let nobody = world.pack(path, None, body.clone()).await;
    refused(&nobody, 401, "say which packager you are");
    assert_eq!(nobody.headers["www-authenticate"], "Basic realm=\"reelkey\", charset=\"UTF-8\"");
    refused(&world.pack(path, Some("Basic ZW5jb2Rlcjp4"), body.clone()).await, 401, "no packager");
    for name in ["series", "reader"] {
        refused(&world.pack(path, Some(&basic(name)), body.clone()).await, 403, "may not do this");
    }
    refused(&world.pack(path, Some(&basic("maker")), body).await, 404, "may add none");
    let foreign = format!(
        "<CPIX xmlns='{CPIX}'><ContentKeyList><ContentKey kid='{}'/></ContentKeyList></CPIX>",
        kid(0, 1)
    );
    refused(
        &post(&world, "/v1/keys/cpix/movies/sintel", foreign).await,
        409,
        "a key of another content",
    );
    let known = kid(1, 0);
    let own = format!(
        "<CPIX xmlns='{CPIX}'><ContentKeyList><ContentKey kid='{known}'/></ContentKeyList></CPIX>"
    );
    let reply = post(&world, "/v1/keys/cpix/movies/sintel", own).await;
    assert_eq!(keys(&granted(&reply))[0].1, key_hex(1, 0));
}
