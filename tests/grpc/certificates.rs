//! Callers who show a client certificate instead of a token, which nobody has to.

use argocd_orchestrator::config::{SenderCertificate, Token};
use argocd_orchestrator::domain::audit::Via;
use argocd_orchestrator::grpc::Taken;
use argocd_orchestrator::grpc::generated::trigger_client::TriggerClient;
use argocd_orchestrator::store::AuditFilter;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::support::authority::{Authority, Pair};
use crate::support::server::{Client, Server};
use crate::support::world::World;
use crate::support::{MAIN, SOURCE, push};

/// A sensor's name in a mesh.
const SENSOR: &str = "spiffe://example.com/ns/argo-events/sa/sensor";

fn known(name: &str, sources: &[&str], customers: &[&str]) -> SenderCertificate {
    SenderCertificate {
        name: name.into(),
        sources: sources.iter().map(|name| name.parse().unwrap()).collect(),
        customers: customers.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

/// A server that knows two certificates and one token.
async fn start(authority: &Authority) -> (World, Server) {
    // As `main` does: the first one wins.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut world = World::new(&[]);
    world.config.grpc.tls = Some(authority.serve(&authority.issue("localhost")));
    world.config.grpc.certificates =
        vec![known(SENSOR, &[SOURCE], &["customer-a"]), known("all.example.com", &[], &[])];
    world.config.grpc.tokens = vec![Token {
        name: "b".into(),
        token: "the-token-of-b".into(),
        sources: Vec::new(),
        customers: vec!["customer-b".parse().unwrap()],
    }];
    let server = Server::start(&world).await;
    (world, server)
}

async fn connect(server: &Server, authority: &Authority, own: Option<&Pair>) -> Client {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority.pem()))
        .domain_name("localhost");
    if let Some(pair) = own {
        tls = tls.identity(Identity::from_pem(&pair.certificate, &pair.key));
    }
    let address = format!("https://localhost:{}", server.address.port());
    // What a server refuses in a handshake, a client of TLS 1.3 learns with its first call.
    Client(TriggerClient::new(Channel::from_shared(address).unwrap().tls_config(tls).unwrap().connect_lazy()))
}

#[tokio::test]
async fn a_known_certificate_is_a_credential_and_covers_its_own_alone() {
    let authority = Authority::new();
    let (_world, server) = start(&authority).await;
    let (sensor, all) = (authority.issue(SENSOR), authority.issue("all.example.com"));
    let (unknown, stranger) = (authority.issue("other.example.com"), Authority::new().issue(SENSOR));
    let none = "there is no token in `spec`, and no client certificate that is known";
    let wrong = "the token in `spec` is missing or wrong";
    let manual = |customer: &str| json!({"customer": customer});
    let by_token = |token: Value, customer: &str| json!({"customer": customer, "token": token});
    for (own, spec, refused) in [
        (Some(&sensor), manual("customer-a"), None),
        (Some(&all), manual("customer-a"), None),
        (Some(&all), manual("customer-b"), None),
        (Some(&sensor), manual("customer-b"), Some("the certificate does not cover this")),
        (Some(&unknown), manual("customer-a"), Some(none)),
        (None, manual("customer-a"), Some(none)),
        // Nobody has to bring a certificate, and a token is what counts where there is one.
        (None, by_token("the-token-of-b".into(), "customer-b"), None),
        (Some(&sensor), by_token("the-token-of-b".into(), "customer-b"), None),
        (
            Some(&sensor),
            by_token("the-token-of-b".into(), "customer-a"),
            Some("the token does not cover this"),
        ),
        (Some(&all), by_token("nonsense".into(), "customer-a"), Some(wrong)),
        (Some(&all), by_token("".into(), "customer-a"), Some(wrong)),
        (Some(&all), by_token(Value::Null, "customer-a"), Some(wrong)),
    ] {
        let answer = connect(&server, &authority, own).await.execute(&spec, &Value::Null).await;
        match (answer, refused) {
            (Ok(receipt), None) => assert_eq!(receipt.status, Taken::Accepted, "{spec}"),
            (Err(status), Some(said)) => assert_eq!(status.message(), said, "{spec}"),
            (answer, _) => panic!("{spec}: {answer:?}"),
        }
    }
    let before = server.events().await.len();
    let mut client = connect(&server, &authority, Some(&stranger)).await;
    let status = client.execute(&manual("customer-a"), &Value::Null).await.unwrap_err();
    assert_ne!(status.code(), Code::Ok);
    assert_eq!((server.events().await.len(), server.letters().await), (before, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_push_by_a_certificate_reaches_its_customer_and_the_audit_has_its_name() {
    let authority = Authority::new();
    let (_world, server) = start(&authority).await;
    let mut client = connect(&server, &authority, Some(&authority.issue(SENSOR))).await;
    let payload = push(MAIN, None, Some(&"a".repeat(40).parse().unwrap()));
    let receipt = client.execute(&json!({}), &payload).await.unwrap();
    let request = server.event(&receipt.event).await.request;
    assert_eq!(request.scope.iter().map(|customer| customer.as_str()).collect::<Vec<_>>(), ["customer-a"]);
    let audit = server.app.store.audit(&AuditFilter::default(), 10).await.unwrap().value;
    let origin = &audit[0].origin;
    assert_eq!((origin.actor.as_str(), origin.via), (SENSOR, Via::Trigger));
    // What can never succeed is kept for its owner as well.
    let receipt = client.execute(&json!({"kind": "nonsense"}), &Value::Null).await.unwrap();
    assert_eq!(receipt.status, Taken::DeadLetter);
    server.stop().await;
}
