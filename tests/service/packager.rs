//! Packagers of a world, and what they send.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64ct::{Base64, Encoding};
use reelkey::authority::operation::order::Actor;
use reelkey::authority::operation::packager::AddPackager;
use reelkey::authority::packager::{SecretHash, SigningKey};
use reelkey::domain::packager::Permission;

use crate::world::{NOW, Reply, World, time};

/// The packager of [`World::packager`], which may do anything.
pub(crate) const ENCODER: &str = "encoder";

/// The secret of a packager in these tests.
pub(crate) fn secret(name: &str) -> String {
    format!("secret of {name}")
}

/// The value of `Authorization` by which a packager of these tests proves who it is.
pub(crate) fn basic(name: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{name}:{}", secret(name)).as_bytes()))
}

/// What is added as a packager, with everything that the test does not change.
pub(crate) fn rights(name: &str) -> AddPackager {
    AddPackager {
        name: name.parse().unwrap(),
        content: vec!["*".parse().unwrap()],
        allow: Permission::ALL.into(),
        policies: vec!["open".into()],
        secret_sha256: SecretHash::of(secret(name).as_bytes()),
        is_secret_new: false,
        signing: None,
        client_ca: None,
    }
}

/// The public test credential of Shaka Packager's documentation.
pub(crate) fn test_key() -> SigningKey {
    let key = "1ae8ccd0e7985cc0b6203a55855a1034afc252980e970ca90e5202689f947ab9";
    let iv = "d58ce954203b7c9a9a9d467f59839249";
    SigningKey::Aes { key: key.to_owned().into(), iv: iv.into() }
}

impl World {
    /// Adds a packager.
    pub(crate) async fn add_packager(&self, packager: AddPackager) {
        let actor = Actor::User { uid: 0 };
        let added = self.authority.administer(packager, actor, time(NOW)).await.unwrap();
        assert!(added.created);
    }

    /// Sends a packager's request.
    pub(crate) async fn pack(
        &self,
        path: &str,
        authorization: Option<&str>,
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::post(path);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }
}
