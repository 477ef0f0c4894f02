//! Swagger UI comes from the program itself, under a policy of its own.

use crate::support::web::Web;
use crate::support::world::World;

#[tokio::test]
async fn it_is_served_whole_and_loads_nothing_from_elsewhere() {
    let web = Web::start(World::new(&[])).await;
    let moved = web.get("/swagger-ui.html").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("/swagger-ui/index.html")));
    let page = web.get("/swagger-ui/index.html").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(page.header("content-encoding"), None);
    let mut loaded = 0;
    let text = page.text();
    for attribute in ["src=\"", "href=\""] {
        for place in text.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(!place.contains("//"), "{place}");
            let name = place.trim_start_matches("./");
            assert_eq!(web.get(&format!("/swagger-ui/{name}")).await.status, 200, "{name}");
            loaded += 1;
        }
    }
    assert!(loaded > 3, "{text}");
    let start = web.get("/swagger-ui/swagger-initializer.js").await.text();
    assert!(start.contains("/api/v1/openapi.json"), "{start}");
    for wrong in ["/swagger-ui/../http.rs", "/swagger-ui/nothing.js", "/swagger-ui/%2e%2e%2fCargo.toml"] {
        assert_eq!(web.get(wrong).await.status, 404, "{wrong}");
    }
    web.stop().await;
}
