//! The connection: sizes, TLS, health, reflection, and what is answered when nothing can be stored.

use std::path::PathBuf;

use argocd_orchestrator::config::Tls;
use argocd_orchestrator::grpc::Taken;
use argocd_orchestrator::grpc::generated::trigger_client::TriggerClient;
use bytesize::ByteSize;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::server::{Client, Server};
use crate::support::world::World;

fn manual(id: &str) -> Value {
    json!({"customer": "customer-a", "id": id})
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_connection_lives() {
    let mut world = World::new(&[]);
    world.config.grpc.max_message = ByteSize::kib(64);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let status = client.execute_bytes(b"{}", &vec![b' '; 100 * 1024]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!((server.events().await.len(), server.letters().await), (0, 0));
    assert_eq!(client.execute(&manual("1"), &Value::Null).await.unwrap().status, Taken::Accepted);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_unavailable_and_never_ok() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let mut client = server.client().await;
    let receipt = client.execute(&manual("1"), &Value::Null).await.unwrap();
    server.app.store.close().await;
    for spec in [manual("1"), manual("2"), json!({"kind": "nonsense"})] {
        let status = client.execute(&spec, &Value::Null).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{spec}");
        assert_eq!(status.message(), "the store does not take it now; try again");
    }
    let status = client.policy(&serde_json::to_vec(&receipt).unwrap()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    server.stop().await;
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_each_ok_is_stored() {
    let mut world = World::new(&[]);
    world.config.grpc.max_concurrent = 2;
    let server = Server::start(&world).await;
    let client = server.client().await;
    let calls = (0..50).map(|number| {
        let mut client = client.clone();
        async move { client.execute(&manual(&number.to_string()), &Value::Null).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    for status in answers.into_iter().filter_map(Result::err) {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    }
    assert!(taken > 0);
    assert_eq!(server.events().await.len(), taken);
    server.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let world = World::new(&[]);
    let server = Server::start(&world).await;
    let channel =
        Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap();
    for service in ["", "triggers.Trigger"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = tokio_stream::iter([list]);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"triggers.Trigger"), "{names:?}");
    server.stop().await;
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_spoken() {
    // As `main` does: the first one wins.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut world = World::new(&[]);
    world.config.grpc.tls = Some(Tls {
        certificate: fixture("server.pem"),
        key: fixture("server-key.pem"),
        client_ca: None,
        require_client_certificate: false,
    });
    let server = Server::start(&world).await;
    let authority = Certificate::from_pem(std::fs::read(fixture("ca.pem")).unwrap());
    let address = format!("https://localhost:{}", server.address.port());
    let secure =
        |tls: ClientTlsConfig| Channel::from_shared(address.clone()).unwrap().tls_config(tls).unwrap();
    let trusted = ClientTlsConfig::new().ca_certificate(authority).domain_name("localhost");
    let mut client = Client(TriggerClient::new(secure(trusted.clone()).connect().await.unwrap()));
    assert_eq!(client.execute(&manual("1"), &Value::Null).await.unwrap().status, Taken::Accepted);

    let other_name = secure(trusted.domain_name("elsewhere.example.com")).connect().await;
    assert!(other_name.is_err());
    let plain = TriggerClient::connect(format!("http://{}", server.address)).await;
    let refused = match plain {
        Ok(client) => Client(client).execute(&manual("2"), &Value::Null).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    assert_eq!(server.events().await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_named() {
    let mut world = World::new(&[]);
    world.config.grpc.tls = Some(Tls {
        certificate: fixture("missing.pem"),
        key: fixture("server-key.pem"),
        client_ca: None,
        require_client_certificate: false,
    });
    let (app, _cluster) = world.parts().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = argocd_orchestrator::grpc::serve(app, listener, Default::default()).await;
    assert!(served.unwrap_err().to_string().contains("missing.pem"));
}
