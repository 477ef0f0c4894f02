//! The page: files that are part of the program, for browsers.
//!
//! It needs no login to be loaded, for it holds nothing; what it shows it asks the API for. It loads nothing from
//! elsewhere, and its policy says so: no script and no style but its own files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::{Server, etag};

/// What the page may do. `data:` is for the small pictures in the style sheets.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Kept by the browser, and asked for again each time: a new version of the program is a new page at once.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Files below `web/`: their name, media type and text.
macro_rules! files {
    ($($kind:ident: $($name:literal),+ $(,)?);+ $(;)?) => {
        [$($(($name, $kind, include_str!(concat!("../../web/", $name)))),+),+]
    };
}

/// Everything that the page is made of.
static FILES: LazyLock<BTreeMap<&str, File>> = LazyLock::new(|| {
    let files = files! {
        HTML: "index.html";
        SVG: "favicon.svg";
        CSS: "css/base.css", "css/graph.css", "css/parts.css";
        JS:
            "js/affected.js",
            "js/api.js",
            "js/commands.js",
            "js/diagnostics.js",
            "js/dialog.js",
            "js/done.js",
            "js/el.js",
            "js/graph.js",
            "js/icon.js",
            "js/later.js",
            "js/login.js",
            "js/main.js",
            "js/notice.js",
            "js/rights.js",
            "js/session.js",
            "js/state.js",
            "js/stream.js",
            "js/table.js",
            "js/tabs.js",
            "js/takeback.js",
            "js/theme.js",
            "js/time.js",
            "js/views/audit.js",
            "js/views/dependencies.js",
            "js/views/deployment.js",
            "js/views/deployment/graph.js",
            "js/views/deployment/journal.js",
            "js/views/deployment/panel.js",
            "js/views/deployment/plan.js",
            "js/views/deployment/services.js",
            "js/views/deployment/timeline.js",
            "js/views/events.js",
            "js/views/health.js",
            "js/views/overview.js",
            "js/views/rollbacks.js";
    };
    files.into_iter().map(|(name, kind, text)| (name, File::of(kind, text))).collect()
});

/// One file of the page.
struct File {
    kind: HeaderValue,
    text: &'static str,
    tag: String,
}

impl File {
    fn of(kind: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let tag = digest.iter().take(8).fold(String::from("\""), |mut tag, byte| {
            // Writing to a text cannot fail.
            let _ = write!(tag, "{byte:02x}");
            tag
        });
        Self { kind: HeaderValue::from_static(kind), text, tag: tag + "\"" }
    }
}

/// The page's routes. They are not part of the OpenAPI document: they are for browsers, not for programs.
pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }))
        .route("/assets/{*path}", get(asset))
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.get(name) else { return Problem::not_found("file").into_response() };
    let kept = [(ETAG, file.tag.clone())];
    let fixed = [(CACHE_CONTROL, ASK_AGAIN), (CONTENT_SECURITY_POLICY, POLICY)];
    if headers.get_all(IF_NONE_MATCH).iter().any(|given| etag::names(given, &file.tag)) {
        return (StatusCode::NOT_MODIFIED, kept, fixed).into_response();
    }
    (kept, fixed, [(CONTENT_TYPE, file.kind.clone())], file.text).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names_below(folder: &Path, root: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names_below(&path, root, names);
            } else {
                names.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_none_is_long() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut names = Vec::new();
        names_below(&root, &root, &mut names);
        names.sort();
        let mut served: Vec<&str> = FILES.keys().copied().collect();
        served.sort_unstable();
        assert_eq!(served, names);
        for (name, file) in FILES.iter() {
            assert!(file.text.lines().count() <= 500, "{name} is too long for one noun");
        }
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_makes_no_markup_of_data() {
        for (name, file) in FILES.iter() {
            for word in
                ["https://", "//cdn", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "style=\""]
            {
                assert!(!file.text.contains(word), "{name} has {word}");
            }
        }
    }

    #[test]
    fn all_that_the_page_loads_is_there() {
        let index = FILES.get("index.html").unwrap().text;
        let asked = index.split('"').filter_map(|text| text.strip_prefix("/assets/"));
        assert!(asked.clone().count() > 1);
        for name in asked {
            assert!(FILES.contains_key(name), "{name}");
        }
        for (name, file) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            let folder = Path::new(name).parent().unwrap();
            for line in
                file.text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "))
            {
                let Some(target) = line.split('"').nth(1) else { continue };
                let mut path: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap()).collect();
                for part in target.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(path.pop()),
                        part => path.push(part),
                    }
                }
                assert!(FILES.contains_key(path.join("/").as_str()), "{name}: {target}");
            }
        }
    }
}
