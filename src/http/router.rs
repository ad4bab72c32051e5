//! Lists the routes for players and for packagers.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, post};

use crate::http::app::App;
use crate::http::frame::address::Proxies;
use crate::http::frame::bearer::TokenPlaces;
use crate::http::frame::cors;
use crate::http::frame::exchange::{self, Frame};
use crate::http::frame::limits::Limits;
use crate::http::keys::cpix::{document_routes, speke_routes};
use crate::http::keys::playready::post::playready_post;
use crate::http::keys::widevine::post::widevine_post;
use crate::http::keys::{ffmpeg, nginx_vod, skm};
use crate::http::player::{account, clear_keys, health, license, module, pages};

/// All routes, also for pages of the origins that are in force, within the default limits and without proxies.
pub fn router(app: App) -> Router {
    router_within(app, Limits::default(), Proxies::default(), TokenPlaces::default())
}

/// All routes, also for pages of the origins that are in force. Requests are kept within these limits, each counted for the
/// client that these proxies name. Players' tokens may be in these places.
pub fn router_within(app: App, limits: Limits, proxies: Proxies, places: TokenPlaces) -> Router {
    let routes = player_routes().merge(packager_routes()).merge(health_routes());
    framed(routes, app, limits, proxies, places)
}

/// The routes that players use and no others, as [`router_within`].
pub fn players_within(app: App, limits: Limits, proxies: Proxies, places: TokenPlaces) -> Router {
    framed(player_routes().merge(health_routes()), app, limits, proxies, places)
}

/// The routes that packagers and origins use and no others, as [`router_within`].
pub fn packagers_within(app: App, limits: Limits, proxies: Proxies) -> Router {
    let routes = packager_routes().merge(health_routes());
    framed(routes, app, limits, proxies, TokenPlaces::default())
}

fn framed(
    routes: Router<App>,
    app: App,
    limits: Limits,
    proxies: Proxies,
    places: TokenPlaces,
) -> Router {
    let frame = Frame::new(app.clone(), limits, proxies);
    let cors = cors::layer(Arc::clone(&app.authority), places.header.clone());
    routes
        .layer(Extension(places))
        .layer(middleware::from_fn_with_state(frame, exchange::frame))
        .layer(cors)
        .with_state(app)
}

fn health_routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(health::healthz_get))
        .route("/readyz", get(health::readyz_get))
}

fn player_routes() -> Router<App> {
    Router::new()
        .route("/v1/license", post(license::license_post))
        .route("/v1/licenses/{id}", get(account::license_get))
        .route("/v1/devices", get(account::devices_get).post(account::devices_post))
        .route("/v1/devices/{jkt}", delete(account::device_delete))
        .route("/v1/clearkey", post(clear_keys::clearkey_post))
        .route("/v1/hls/{*path}", get(clear_keys::hls_key_get).head(clear_keys::hls_key_head))
        .route("/reelkey.js", get(module::module_get))
        .route("/.well-known/jwks.json", get(health::jwks_get))
        .route("/problems/{reason}", get(pages::problem_get))
}

fn packager_routes() -> Router<App> {
    Router::new()
        .route("/v1/keys/ffmpeg/{*path}", get(ffmpeg::get))
        .route("/v1/keys/nginx-vod/{*path}", get(nginx_vod::get))
        .route("/v1/keys/cpix/{*path}", get(document_routes::get).post(document_routes::post))
        .route("/v1/keys/speke", get(speke_routes::get).post(speke_routes::post))
        .route("/v1/keys/speke/{*path}", get(speke_routes::get).post(speke_routes::post))
        .route("/v1/keys/skm", post(skm::post))
        .route("/v1/keys/skm/{kid}", get(skm::get))
        .route("/v1/keys/playready", post(playready_post))
        .route("/v1/keys/widevine", post(widevine_post))
        .route("/v1/keys/widevine/", post(widevine_post))
        .route("/v1/keys/widevine/{*provider}", post(widevine_post))
}
