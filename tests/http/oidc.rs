//! Tokens of a login provider: only a right access token lets in, and with what its groups allow.

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::people::{ADMIN, settings};
use crate::support::provider::{CLIENT, Key, Provider};
use crate::support::web::Web;
use crate::support::world::World;

const DEPLOYMENTS: &str = "/api/v1/deployments";

async fn start(provider: &Provider) -> Web {
    let mut world = World::new(&[]);
    world.config.http = Some(settings());
    world.config.http.as_mut().unwrap().oidc = Some(provider.settings());
    Web::start(world).await
}

/// Each of these tokens is refused, for the reason that is given.
async fn check(web: &Web, cases: &[(&str, String, &str)]) {
    for (name, token, reason) in cases {
        let answer = web.get_as(token, DEPLOYMENTS).await;
        let problem = answer.problem(401);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{name}: {detail}");
        assert!(!answer.text().contains(token.as_str()) || token.len() < 8, "{name}: the token is told");
    }
}

#[tokio::test]
async fn an_access_token_lets_in_with_what_its_groups_allow() {
    let provider = Provider::start().await;
    let web = start(&provider).await;
    for (groups, status, grants) in [
        (&["platform"][..], 200, json!([{"role": "admin", "customers": null}])),
        (&["watchers", "others"], 200, json!([{"role": "viewer", "customers": ["customer-a"]}])),
        (&["others"], 200, json!([])),
        (&[], 200, json!([])),
    ] {
        let token = provider.access_token("jane", groups);
        let me = web.get_as(&token, "/api/v1/me").await;
        assert_eq!(me.status, status, "{}", me.text());
        assert_eq!(me.json(), json!({"name": "jane", "via": "access-token", "grants": grants}));
    }
    let watcher = provider.access_token("joe", &["watchers"]);
    web.get_as(&watcher, "/api/v1/dead-letters").await.problem(403);
    let ask = json!({"customer": "customer-a", "environment": "production"});
    web.post_as(&watcher, "/api/v1/sync-waves/1/trigger", &ask).await.problem(403);
    let nobody = provider.access_token("eve", &["others"]);
    web.post_as(&nobody, "/api/v1/sync-waves/1/trigger", &ask).await.problem(404);
    // Tokens of the configuration go on to count.
    assert_eq!(web.get_as(ADMIN, DEPLOYMENTS).await.status, 200);
    assert_eq!(provider.asked(), 1, "keys are kept");
    web.stop().await;
}

#[tokio::test]
async fn a_token_that_is_wrong_in_any_way_is_refused_with_the_reason() {
    let provider = Provider::start().await;
    let web = start(&provider).await;
    let key = &provider.key;
    let right = provider.claims("jane", &["platform"]);
    assert_eq!(web.get_as(&key.sign(&right), DEPLOYMENTS).await.status, 200);
    let with = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&claims)
    };
    let header = |algorithm: Algorithm| Header { kid: Some(key.id.clone()), ..Header::new(algorithm) };
    let now = jiff::Timestamp::now().as_second();
    let stranger = Key::elliptic(&key.id);
    let unsigned = {
        use base64::Engine;
        let encode =
            |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(&json!({"alg": "none", "typ": "JWT"})), encode(&right))
    };
    // The public key is known to everybody; taken for a shared secret, it would make anybody an issuer.
    let public = serde_json::to_vec(&key.public()).unwrap();
    let shared =
        jsonwebtoken::encode(&header(Algorithm::HS256), &right, &EncodingKey::from_secret(&public)).unwrap();
    let own_key = Header { jwk: Some(stranger.public()), kid: None, ..Header::new(Algorithm::ES256) };
    let elsewhere = Header {
        jku: Some("http://127.0.0.1:1/keys".into()),
        x5u: Some("http://127.0.0.1:1/chain".into()),
        ..header(Algorithm::ES256)
    };
    let critical = Header { crit: Some(vec!["exp".into()]), ..header(Algorithm::ES256) };
    let other_algorithm = {
        let mut key = Key::rsa("first");
        key.algorithm = Algorithm::PS256;
        key.sign(&right)
    };
    let tampered = {
        let token = key.sign(&right);
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let other = provider.access_token("root", &["platform"]);
        parts[1] = other.split('.').nth(1).unwrap().to_owned();
        parts.join(".")
    };
    let cases = [
        ("unsigned", unsigned, "not one of a signed token"),
        ("public key as secret", shared, "algorithm that is not allowed"),
        ("not allowed algorithm", other_algorithm, "algorithm that is not allowed"),
        ("a stranger's key under the same id", stranger.sign(&right), "signature is wrong"),
        ("a key of its own", stranger.sign_with(own_key, &right), "signature is wrong"),
        ("keys elsewhere", stranger.sign_with(elsewhere, &right), "signature is wrong"),
        ("unknown key", Key::elliptic("unknown").sign(&right), "none of the provider's"),
        ("critical", key.sign_with(critical, &right), "`crit`"),
        ("tampered", tampered, "signature is wrong"),
        ("other audience", with("aud", "other".into()), "another audience"),
        ("for the page", with("aud", CLIENT.into()), "another audience"),
        ("no audience", without("aud"), "no `aud`"),
        ("other issuer", with("iss", "https://evil.example".into()), "another issuer"),
        ("no issuer", without("iss"), "no `iss`"),
        ("expired", with("exp", (now - 60).into()), "has expired"),
        ("no end", without("exp"), "no `exp`"),
        ("endless", with("exp", "never".into()), "no `exp`"),
        ("not yet", with("nbf", (now + 600).into()), "not valid yet"),
        ("nobody", without("sub"), "no `sub`"),
        ("blank name", with("sub", " ".into()), "no usable claim `sub`"),
        ("ID token", with("nonce", "n".into()), "this is an ID token"),
        ("ID token by its hash", with("at_hash", "h".into()), "this is an ID token"),
        ("refresh token", with("typ", "Refresh".into()), "this is a refresh token"),
        ("opaque", "2YotnFZFEjr1zCsicMWpAA".into(), "opaque"),
        ("nonsense", "a.b.c".into(), "not one of a signed token"),
        ("long", format!("{}.b.c", "a".repeat(25_000)), "too long"),
    ];
    check(&web, &cases).await;
    web.stop().await;
}

#[tokio::test]
async fn keys_that_the_provider_changes_are_found() {
    let provider = Provider::start().await;
    let rsa = Key::rsa("second");
    provider.publish(&[&provider.key, &rsa]);
    let web = start(&provider).await;
    let claims = provider.claims("jane", &["platform"]);
    assert_eq!(web.get_as(&rsa.sign(&claims), DEPLOYMENTS).await.status, 200);
    // Made-up keys do not make us ask the provider again and again.
    for number in 0..20 {
        let token = Key::elliptic(&format!("made-up-{number}")).sign(&claims);
        web.get_as(&token, DEPLOYMENTS).await.problem(401);
    }
    assert_eq!(provider.asked(), 1);
    web.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_reason_to_let_anybody_in_or_to_call_a_token_wrong() {
    let provider = Provider::start().await;
    provider.is_away(true);
    let web = start(&provider).await;
    let token = provider.access_token("jane", &["platform"]);
    let answer = web.get_as(&token, DEPLOYMENTS).await;
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
    // What needs no provider goes on.
    assert_eq!(web.get_as(ADMIN, DEPLOYMENTS).await.status, 200);
    web.get_as("2YotnFZFEjr1zCsicMWpAA", DEPLOYMENTS).await.problem(401);
    // It was asked a moment ago: nobody waits for another answer like that.
    let tokens: Vec<String> = (0..20).map(|_| provider.access_token("jane", &["platform"])).collect();
    for answer in join_all(tokens.iter().map(|token| web.get_as(token, DEPLOYMENTS))).await {
        answer.problem(503);
    }
    assert_eq!(provider.looked(), 1);
    web.stop().await;
    provider.is_away(false);
    provider.says_it_is("https://somebody-else.example");
    let web = start(&provider).await;
    web.get_as(&token, DEPLOYMENTS).await.problem(503);
    web.stop().await;
}
