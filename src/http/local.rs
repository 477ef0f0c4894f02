//! What protects a server that anybody on this machine may use: other people's web pages must not.
//!
//! A page can make a browser send requests to a loopback address, by its own name (DNS rebinding) or across origins.
//! Both show in headers that a page cannot choose.

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{Server, webhooks};

/// Refuses what a web page of somebody else makes a browser send, where there is no token that it would lack.
pub(super) async fn keep(State(server): State<Server>, request: Request, next: Next) -> Response {
    // Webhooks come from elsewhere, and bring a credential in any case.
    let webhook = request.uri().path().starts_with(webhooks::PATH);
    if !server.settings.has_login() && !webhook && !is_local(request.headers()) {
        return Problem::forbidden("without `http.tokens` only programs on this machine may ask")
            .into_response();
    }
    next.run(request).await
}

fn is_local(headers: &HeaderMap) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(&HOST).unwrap_or_default();
    let named_locally = is_loopback(host);
    let same_origin = text(&ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    let same_site = text(&SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    named_locally && same_origin && same_site
}

/// Whether an authority (`host:port`) is this machine.
fn is_loopback(authority: &str) -> bool {
    let Ok(uri) = format!("http://{authority}/").parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_others_are_told_apart_from_programs_here() {
        let cases: [(&[(&str, &str)], bool); 12] = [
            (&[("host", "127.0.0.1:8080")], true),
            (&[("host", "localhost:8080")], true),
            (&[("host", "[::1]:8080")], true),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], true),
            (&[("host", "127.0.0.1:8080"), ("sec-fetch-site", "none")], true),
            (&[], false),
            (&[("host", "evil.example:8080")], false),
            (&[("host", "localhost.evil.example")], false),
            (&[("host", "127.0.0.1@evil.example")], false),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://evil.example")], false),
            (&[("host", "127.0.0.1:8080"), ("origin", "null")], false),
            (&[("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")], false),
        ];
        for (given, local) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_static(value),
                );
            }
            assert_eq!(is_local(&headers), local, "{given:?}");
        }
    }
}
