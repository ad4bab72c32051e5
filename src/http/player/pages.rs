//! `GET /problems/{reason}`: explains a problem type to a person who follows its URI (RFC 9457 section 3.1.1
//! recommends that this is possible).

use axum::extract::Path;
use axum::http::header::CACHE_CONTROL;
use axum::response::{Html, IntoResponse, Response};

use crate::domain::refusal::Refusal;
use crate::http::frame::problem::{Problem, detail, title};

pub(crate) async fn problem_get(Path(reason): Path<String>) -> Result<Response, Problem> {
    let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.reason() == reason);
    let refusal = refusal.ok_or(Refusal::NotFound)?;
    Ok(([(CACHE_CONTROL, "public, max-age=3600")], Html(page(refusal))).into_response())
}

/// The page contains no text of a request, so nothing has to be escaped.
fn page(refusal: Refusal) -> String {
    let (reason, title, detail) = (refusal.reason(), title(refusal), detail(refusal));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font:1rem/1.5 system-ui;max-width:36rem;margin:4rem auto;padding:0 1rem}}\
         code{{background:#8882;padding:.1em .3em}}</style>\n\
         <h1>{title}</h1>\n<p>{detail}</p>\n<p>Reason code: <code>{reason}</code></p>\n</html>\n"
    )
}
