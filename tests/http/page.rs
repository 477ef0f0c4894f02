//! The page: its files, what they may do, and who gets them.

use serde_json::json;

use crate::people::settings;
use crate::support::web::Web;
use crate::support::world::World;

#[tokio::test]
async fn the_page_and_its_files_are_served_under_a_policy_of_their_own() {
    let web = Web::start(World::new(&["customer-a"])).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/assets/css/base.css", "text/css; charset=utf-8"),
        ("/assets/js/main.js", "text/javascript; charset=utf-8"),
        ("/assets/js/views/overview.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = web.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = answer.header("etag").unwrap();
        let again = web.send("GET", path, &[("if-none-match", tag)], b"").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    for path in [
        "/assets/",
        "/assets/js/nothing.js",
        "/assets/../index.html",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/js",
    ] {
        web.get(path).await.problem(404);
    }
    web.post("/", &json!({})).await.problem(405);
    web.stop().await;
}

#[tokio::test]
async fn the_page_is_loaded_without_a_token_and_shows_nothing_by_itself() {
    let mut world = World::new(&["customer-a"]);
    world.config.http = Some(settings());
    let web = Web::start(world).await;
    assert_eq!(web.get("/").await.status, 200);
    assert!(!web.get("/").await.text().contains("customer-a"));
    web.get("/api/v1/customers").await.problem(401);
    web.stop().await;
}
