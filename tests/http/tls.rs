//! HTTPS from files that change, and callers who show a certificate.

use std::path::Path;
use std::sync::Arc;

use argocd_orchestrator::config::Tls;
use argocd_orchestrator::config::http::ClientCertificate;
use argocd_orchestrator::domain::access::{All, Customers, Grant, Role};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{ended, ends, err, program};
use crate::people::settings;
use crate::support::authority::{Authority, Pair};
use crate::support::web::Web;
use crate::support::world::World;

/// Asks who it is over TLS, with a certificate or without. Gives what the server showed as well.
async fn who(web: &Web, trusted: &Authority, own: Option<&Pair>) -> Result<(u16, Value, Vec<u8>), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match own {
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let stream = TcpStream::connect(web.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    let request = Request::get("/api/v1/me").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap(), shown))
}

async fn start(tls: Tls) -> Web {
    let mut world = World::new(&[]);
    let mut http = settings();
    http.tls = Some(tls);
    let watches = Grant { role: Role::Viewer, customers: Customers::All(All::All) };
    http.certificates = ["mesh.example.com", "spiffe://example.com/ns/argo-events/sa/sensor"]
        .map(|name| ClientCertificate { name: name.into(), roles: vec![watches.clone()] })
        .into();
    world.config.http = Some(http);
    Web::start(world).await
}

#[tokio::test]
async fn a_caller_is_known_by_a_certificate_of_the_authority_and_by_no_other() {
    let authority = Authority::new();
    let web = start(authority.serve(&authority.issue("localhost"))).await;
    for name in ["mesh.example.com", "spiffe://example.com/ns/argo-events/sa/sensor"] {
        let (status, me, _) = who(&web, &authority, Some(&authority.issue(name))).await.unwrap();
        assert_eq!((status, &me["name"], &me["via"]), (200, &Value::from(name), &Value::from("certificate")));
    }
    // A name that nobody gave a role, and none at all.
    let (status, _, _) = who(&web, &authority, Some(&authority.issue("other.example.com"))).await.unwrap();
    assert_eq!(status, 401);
    assert_eq!(who(&web, &authority, None).await.unwrap().0, 401);
    // The right name by another authority.
    let stranger = Authority::new().issue("mesh.example.com");
    assert!(who(&web, &authority, Some(&stranger)).await.is_err());
    web.stop().await;
}

#[tokio::test]
async fn without_a_certificate_nobody_gets_in_where_one_is_required() {
    let authority = Authority::new();
    let tls = Tls { require_client_certificate: true, ..authority.serve(&authority.issue("localhost")) };
    let web = start(tls).await;
    assert!(who(&web, &authority, None).await.is_err());
    assert_eq!(who(&web, &authority, Some(&authority.issue("mesh.example.com"))).await.unwrap().0, 200);
    web.stop().await;
}

#[tokio::test]
async fn a_certificate_that_changes_is_shown_from_the_next_connection_on() {
    let authority = Authority::new();
    let (first, second) = (authority.issue("localhost"), authority.issue("localhost"));
    let web = start(authority.serve(&first)).await;
    let bytes = |pair: &Pair| CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap().to_vec();
    let shown = async || who(&web, &authority, None).await.unwrap().2;
    assert_eq!(shown().await, bytes(&first));
    // A certificate without its key, and nonsense: the old one stays.
    std::fs::write(authority.file("server.pem"), &second.certificate).unwrap();
    assert_eq!(shown().await, bytes(&first));
    std::fs::write(authority.file("server-key.pem"), "nonsense").unwrap();
    assert_eq!(shown().await, bytes(&first));
    std::fs::remove_file(authority.file("server-key.pem")).unwrap();
    assert_eq!(shown().await, bytes(&first));
    std::fs::write(authority.file("server-key.pem"), &second.key).unwrap();
    assert_eq!(shown().await, bytes(&second));
    web.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let tls = authority.serve(&authority.issue("localhost"));
    std::fs::write(&tls.key, "nothing of a key").unwrap();
    let mut world = World::new(&[]);
    world.config.http = Some(argocd_orchestrator::config::Http { tls: Some(tls.clone()), ..settings() });
    let (app, _cluster) = world.parts().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = app.config.http.clone().unwrap();
    let served = argocd_orchestrator::http::serve(app, settings, 0, listener, Default::default()).await;
    let error = served.unwrap_err().to_string();
    assert!(error.contains("server-key.pem"), "{error}");
}

#[tokio::test]
async fn the_command_line_trusts_the_authority_that_is_named_and_shows_its_own_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = Tls { require_client_certificate: true, ..authority.serve(&authority.issue("localhost")) };
    let (ca, strangers) = (authority.file("ca.pem"), other.write("ca.pem", &other.pem()));
    let web = start(tls).await;
    let server = format!("https://localhost:{}", web.address.port());
    let own = authority.issue("mesh.example.com");
    let certificate = authority.write("own.pem", &own.certificate);
    let key = authority.write("own-key.pem", &own.key);
    let foreign = other.issue("mesh.example.com");
    let foreign = (other.write("own.pem", &foreign.certificate), other.write("own-key.pem", &foreign.key));
    let open = authority.write("open-key.pem", &own.key);
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let nonsense = authority.write("nonsense.pem", "nonsense");
    let cases: [(Option<&Path>, Option<(&Path, &Path)>, i32, &str); 9] = [
        (Some(ca), Some((&certificate, &key)), 0, "mesh.example.com (certificate)"),
        (Some(ca), None, 7, "does not answer"),
        (Some(ca), Some((&foreign.0, &foreign.1)), 7, "does not answer"),
        (Some(&strangers), Some((&certificate, &key)), 7, "invalid peer certificate"),
        (None, Some((&certificate, &key)), 7, "invalid peer certificate"),
        (Some(&nonsense), None, 2, "--ca has no certificate in it"),
        (Some(ca), Some((&certificate, &nonsense)), 2, "--client-certificate or --client-key"),
        (Some(ca), Some((&certificate, &open)), 3, "chmod 600"),
        (Some(Path::new("/nowhere.pem")), None, 3, "/nowhere.pem"),
    ];
    for (ca, own, exit, said) in cases {
        let mut command = program(&["whoami", "--server", &server]);
        if let Some(ca) = ca {
            command.arg("--ca").arg(ca);
        }
        if let Some((certificate, key)) = own {
            command.arg("--client-certificate").arg(certificate).arg("--client-key").arg(key);
        }
        let output = ended(&mut command).await;
        ends(&output, exit, said);
        assert!(!err(&output).contains("PRIVATE KEY"), "{}", err(&output));
    }
    let alone = program(&["whoami", "--server", &server, "--client-key"]).arg(&key).output().await.unwrap();
    ends(&alone, 2, "--client-certificate");
    web.stop().await;
}
