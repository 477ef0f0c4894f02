//! Login of people by their browsers, with a provider beside the server: only who began a login ends it, and no page
//! of somebody else uses it.

use argocd_orchestrator::domain::audit::AuditRecord;
use argocd_orchestrator::store::AuditFilter;
use serde_json::json;

use crate::people::settings;
use crate::support::provider::Provider;
use crate::support::web::{Answer, Web};
use crate::support::world::World;

const PUBLIC: &str = "http://localhost:8080";

async fn start(provider: &Provider) -> Web {
    let mut world = World::new(&[]);
    world.config.http = Some(settings());
    let oidc = argocd_orchestrator::config::oidc::Oidc {
        login: Some(Provider::login(PUBLIC)),
        ..provider.settings()
    };
    world.config.http.as_mut().unwrap().oidc = Some(oidc);
    Web::start(world).await
}

/// The cookie with this name that an answer sets, as a browser sends it back; and what was said of it.
fn cookie(answer: &Answer, name: &str) -> (String, String) {
    let all: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|one| one.to_str().unwrap()).collect();
    let found = all.iter().find(|one| one.starts_with(&format!("{name}=")));
    let (pair, rest) = found.unwrap_or_else(|| panic!("no {name} in {all:?}")).split_once("; ").unwrap();
    (pair.to_owned(), rest.to_owned())
}

async fn audit(web: &Web) -> Vec<AuditRecord> {
    web.app.store.audit(&AuditFilter::default(), 100).await.unwrap().value
}

/// Logs somebody in; gives the cookie.
async fn logged_in(web: &Web, provider: &Provider, who: &str, groups: &[&str]) -> String {
    let begun = web.get("/auth/login?return=/%23/audit").await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    let (attempt, said) = cookie(&begun, "orchestrator-login");
    assert!(
        said.contains("HttpOnly") && said.contains("SameSite=Lax") && said.contains("Path=/auth"),
        "{said}"
    );
    let back = provider.logs_in(begun.header("location").unwrap(), who, groups);
    let ended = web.send("GET", &back, &[("cookie", &attempt)], b"").await;
    assert_eq!((ended.status, ended.header("location")), (303, Some("/#/audit")), "{}", ended.text());
    let (session, said) = cookie(&ended, "orchestrator");
    assert!(said.contains("HttpOnly") && said.contains("SameSite=Lax") && said.contains("Path=/;"), "{said}");
    // The code is worth nothing any more.
    let again = web.send("GET", &back, &[("cookie", &attempt)], b"").await;
    again.problem(401);
    session
}

#[tokio::test]
async fn who_logs_in_may_do_what_the_groups_allow_until_logging_out() {
    let provider = Provider::start().await;
    let web = start(&provider).await;
    let ways = web.json("/api/v1/login").await;
    assert_eq!(ways, json!({"local": false, "browser": true, "device": null}));
    let session = logged_in(&web, &provider, "jane", &["platform"]).await;
    let with = |headers: &[(&'static str, &str)]| {
        let mut all = vec![("cookie", session.clone())];
        all.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        all
    };
    let send = async |method: &str, path: &str, headers: &[(&'static str, &str)], body: &[u8]| {
        let all = with(headers);
        let all: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        web.send(method, path, &all, body).await
    };
    let me = send("GET", "/api/v1/me", &[], b"").await.json();
    assert_eq!((&me["name"], &me["via"]), (&json!("jane"), &json!("session")));
    let csrf = me["csrf"].as_str().unwrap();
    let body = json!({"customer": "customer-a", "environment": "production"}).to_string();
    let json_body = ("content-type", "application/json");
    let path = "/api/v1/sync-waves/1/trigger";
    // What pages of others can make a browser send.
    for headers in [
        &[json_body][..],
        &[json_body, ("x-csrf-token", "")],
        &[json_body, ("x-csrf-token", "guessed")],
        &[json_body, ("x-csrf-token", csrf), ("origin", "https://evil.example")],
        &[json_body, ("x-csrf-token", csrf), ("origin", "null")],
    ] {
        send("POST", path, headers, body.as_bytes()).await.problem(403);
    }
    send("POST", "/auth/logout", &[], b"").await.problem(403);
    assert_eq!(send("GET", "/api/v1/deployments", &[], b"").await.status, 200);
    let ours = [json_body, ("x-csrf-token", csrf), ("origin", PUBLIC)];
    let answer = send("POST", path, &ours, body.as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    // A token beside the cookie decides alone.
    send("GET", "/api/v1/deployments", &[("authorization", "Bearer wrong")], b"").await.problem(401);

    let out = send("POST", "/auth/logout", &[("x-csrf-token", csrf)], b"").await;
    assert_eq!(out.status, 204, "{}", out.text());
    send("GET", "/api/v1/deployments", &[], b"").await.problem(401);
    let told: Vec<_> =
        audit(&web).await.into_iter().map(|record| (record.action, record.origin.actor)).collect();
    let expected = ["logout", "sync-wave", "login"].map(|action| (action.to_owned(), "jane".to_owned()));
    assert_eq!(told, expected);
    web.stop().await;
}

#[tokio::test]
async fn a_login_that_this_browser_did_not_begin_is_worth_nothing() {
    let provider = Provider::start().await;
    let web = start(&provider).await;
    let begun = web.get("/auth/login").await;
    let (attempt, _) = cookie(&begun, "orchestrator-login");
    let other = web.get("/auth/login?return=//evil.example").await;
    let (others, _) = cookie(&other, "orchestrator-login");
    let back = provider.logs_in(begun.header("location").unwrap(), "jane", &["platform"]);
    // Somebody gets a person to end a login that is not that person's, or to bring a code of somebody else.
    web.get(&back).await.problem(401);
    web.send("GET", &back, &[("cookie", &others)], b"").await.problem(401);
    web.send("GET", &format!("{back}x"), &[("cookie", &attempt)], b"").await.problem(401);
    web.send("GET", "/auth/callback?state=x&error=access_denied", &[("cookie", &attempt)], b"")
        .await
        .problem(401);
    web.send("GET", "/auth/callback", &[("cookie", &attempt)], b"").await.problem(401);
    // Somebody in front of a browser gets to the page, with nothing of the provider's words in the address.
    let shown = [("cookie", &*attempt), ("accept", "text/html,*/*;q=0.8")];
    let failed = "/auth/callback?state=x&error=call-this-number";
    let led = web.send("GET", failed, &shown, b"").await;
    assert_eq!((led.status, led.header("location")), (303, Some("/#/login?refused")));
    assert!(audit(&web).await.is_empty());
    // The one who began it still can.
    let ended = web.send("GET", &back, &[("cookie", &attempt)], b"").await;
    assert_eq!((ended.status, ended.header("location")), (303, Some("/")));
    // An answer that was made for another question.
    provider.spoils_nonces();
    let begun = web.get("/auth/login").await;
    let (attempt, _) = cookie(&begun, "orchestrator-login");
    let back = provider.logs_in(begun.header("location").unwrap(), "jane", &["platform"]);
    let answer = web.send("GET", &back, &[("cookie", &attempt)], b"").await;
    assert_eq!(answer.problem(401)["detail"], "the ID token was not made for this login");
    web.stop().await;
}

#[tokio::test]
async fn a_made_up_cookie_is_no_login_and_the_database_holds_none() {
    let provider = Provider::start().await;
    let web = start(&provider).await;
    let session = logged_in(&web, &provider, "jane", &["watchers"]).await;
    let value = session.split_once('=').unwrap().1.to_owned();
    for made_up in ["orchestrator=guessed", "orchestrator=", &*format!("{session}; {session}")] {
        web.send("GET", "/api/v1/me", &[("cookie", made_up)], b"").await.problem(401);
    }
    let me = web.send("GET", "/api/v1/me", &[("cookie", &session)], b"").await;
    assert_eq!(me.json()["grants"], json!([{"role": "viewer", "customers": ["customer-a"]}]));
    web.app.store.close().await;
    let folder = web.app.config.data_dir.clone();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(value.len()).any(|part| part == value.as_bytes()), "{}", path.display());
        }
    }
    web.halt().await;
}
