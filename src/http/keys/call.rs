//! A request of a packager, as the handlers of all protocols take it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use reelkey_client::key::KeyId;
use reelkey_client::time::UnixTime;
use tokio::sync::OwnedSemaphorePermit;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{Asked, Order, PackagedKey, Refused};
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::address::{Client, Secured};
use crate::http::frame::admission::Admission;
use crate::http::frame::body;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;
use crate::http::keys::asker::Asker;

/// A request of a packager, without its body.
pub(crate) struct Call {
    /// Who sent it.
    pub(crate) asker: Asker,
    /// Its ID and time.
    pub(crate) exchange: Exchange,
    pub(crate) headers: HeaderMap,
    app: App,
    client: Client,
    admission: Option<Arc<Admission>>,
    uri: Uri,
    is_secured: bool,
}

impl Call {
    /// Reads the body, at most `most` bytes. A length is not demanded: some packagers send chunks.
    pub(crate) async fn body(&self, body: Body, most: usize) -> Result<Vec<u8>, Problem> {
        let admission = self.admission.as_ref().ok_or(Refusal::Internal)?;
        let read = body::read(&self.headers, body, admission, most).await;
        read.map_err(|problem| match problem.refusal() {
            Refusal::TooLarge => {
                Problem::new(Refusal::TooLarge, format!("the body has at most {most} bytes"))
            }
            _ => problem,
        })
    }

    /// A slot for work, held until it is dropped.
    pub(crate) fn slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.admission.as_ref().ok_or(Refusal::Internal)?.packager_slot()
    }

    /// When the request came.
    pub(crate) fn now(&self) -> UnixTime {
        self.exchange.now
    }

    /// The keys of an order. `protocol` is one word, for the log.
    pub(crate) async fn issue(
        &self,
        protocol: &'static str,
        packager: &Packager,
        order: &Order,
    ) -> Result<Vec<PackagedKey>, Stop<Refused>> {
        let age = || self.exchange.age();
        let circumstances = self.exchange.circumstances(self.client, &age);
        let asked = Asked { protocol, circumstances };
        self.app.authority.issue_keys(packager, order, asked).await
    }

    /// Keys that there are. `protocol` is one word, for the log.
    pub(crate) async fn read(
        &self,
        protocol: &'static str,
        packager: &Packager,
        kids: &[KeyId],
    ) -> Result<Vec<PackagedKey>, Stop<Refused>> {
        let age = || self.exchange.age();
        let circumstances = self.exchange.circumstances(self.client, &age);
        let asked = Asked { protocol, circumstances };
        self.app.authority.read_keys(packager, kids, asked).await
    }

    /// How long a crypto period of this content lasts, if its periods are counted by the clock and the packager may ask for
    /// its keys.
    pub(crate) async fn period_seconds(
        &self,
        packager: &Packager,
        content: &ContentId,
    ) -> Result<Option<u32>, Stop<Refused>> {
        self.app.authority.crypto_period_seconds(packager, content).await
    }

    /// The use cases and what is in force.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// A parameter of the query, as it stands there.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.uri.query().unwrap_or_default().split('&');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The address by which the packager reached this service, for URLs that it follows itself: scheme and host.
    pub(crate) fn origin(&self) -> Option<String> {
        let host = self.headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = host.or_else(|| self.uri.authority().map(|authority| authority.as_str()))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(allowed) {
            return None;
        }
        let forwarded = self.headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let is_secured = self.is_secured || forwarded == Some("https");
        Some(format!("{}://{host}", if is_secured { "https" } else { "http" }))
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Ok(asker) = Asker::from_request_parts(parts, app).await;
        let exchange = parts.extensions.get::<Exchange>().copied();
        Ok(Self {
            asker,
            exchange: exchange.unwrap_or_else(|| Exchange::unnamed((app.clock)())),
            headers: parts.headers.clone(),
            app: app.clone(),
            client: parts.extensions.get::<Client>().copied().unwrap_or(Client::Unknown),
            admission: parts.extensions.get::<Arc<Admission>>().cloned(),
            uri: parts.uri.clone(),
            is_secured: parts.extensions.get::<Secured>().is_some(),
        })
    }
}
