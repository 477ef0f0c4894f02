//! Against a small server on this machine that says what it is told to.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::probe::address::{Port, Service};
use crate::ports::ClusterError;

/// What a server does with a request.
#[derive(Clone)]
enum Does {
    Says(String),
    /// Says it, and then one more mebibyte again and again.
    Floods(String),
    Nothing,
    HangsUp,
}

/// A server, and the heads of the requests that it got.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (does, seen) = (does.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                    match does {
                        Does::Says(text) => stream.write_all(text.as_bytes()).await,
                        Does::Floods(text) => {
                            stream.write_all(text.as_bytes()).await?;
                            let piece = vec![b'x'; 1 << 20];
                            loop {
                                stream.write_all(&piece).await?;
                            }
                        }
                        Does::Nothing => std::future::pending().await,
                        Does::HangsUp => Ok(()),
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// One Service, or what is said instead.
struct Known(Result<Option<Service>, ClusterError>);

#[async_trait]
impl Services for Known {
    async fn service(&self, namespace: &Namespace, name: &AppName) -> Result<Option<Service>, ClusterError> {
        assert_eq!((namespace.as_str(), name.as_str()), ("c-production", "c-web"));
        self.0.clone()
    }
}

fn service(address: SocketAddr) -> Service {
    Service {
        kind: "ClusterIP".into(),
        cluster_ip: Some(address.ip().to_string()),
        selects: true,
        ports: vec![Port { port: address.port(), target: Some(8080) }],
    }
}

fn question(method: &str) -> Question {
    Question::Http {
        namespace: "c-production".parse().unwrap(),
        service: "c-web".parse().unwrap(),
        port: Some(8080),
        endpoint: "/health?full=1".parse().unwrap(),
        method: method.into(),
        expected_status: 200,
    }
}

fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".into(),
        Outcome::Failed { reason } => format!("failed: {reason}"),
        Outcome::Silent { reason } => format!("silent: {reason}"),
    }
}

fn settings(allowed: &[&str]) -> Settings {
    Settings { allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(), ..Settings::default() }
}

const WITHIN: Duration = Duration::from_secs(1);

async fn ask(
    known: Result<Option<Service>, ClusterError>,
    settings: Settings,
    question: &Question,
) -> String {
    let probe = HttpProbe::new(Arc::new(Known(known)), settings);
    told(probe.ask(question, WITHIN).await)
}

/// What is made of a service that does so.
async fn check(does: Does, expected: &str) -> Server {
    let server = Server::start(does).await;
    let found = ask(Ok(Some(service(server.address))), settings(&["127.0.0.0/8"]), &question("GET")).await;
    assert_eq!(found, expected);
    server
}

fn says(head: &str) -> Does {
    Does::Says(format!("{head}\r\ncontent-length: 2\r\n\r\nok"))
}

const GET: &str = "GET /health?full=1";

#[tokio::test]
async fn the_status_is_what_counts() {
    let server = check(says("HTTP/1.1 200 OK"), "passed").await;
    let request = server.requests().remove(0).to_ascii_lowercase();
    assert!(request.starts_with("get /health?full=1 http/1.1\r\n"), "{request}");
    assert!(
        request.contains(&format!("host: c-web.c-production.svc:{}\r\n", server.address.port())),
        "{request}"
    );
    check(says("HTTP/1.1 503 Busy"), &format!("failed: {GET} answered 503")).await;
    check(says("HTTP/1.1 204 None"), &format!("failed: {GET} answered 204")).await;
    check(says("HTTP/1.0 200 OK"), "passed").await;
    check(Does::HangsUp, &format!("failed: {GET}: the answer broke off")).await;
    check(Does::Says("SSH-2.0-x\r\n\r\n".into()), &format!("failed: {GET}: what was answered is no HTTP"))
        .await;
    check(
        Does::Says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok".into()),
        &format!("failed: {GET}: the answer broke off"),
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(says("HTTP/1.1 200 OK")).await;
    let head = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/", other.address);
    check(says(&head), &format!("failed: {GET} answered 302, and redirects are not followed")).await;
    assert_eq!(other.requests(), [""; 0]);
}

#[tokio::test]
async fn who_does_not_answer_in_time_fails() {
    let began = Instant::now();
    check(Does::Nothing, &format!("failed: {GET}: no answer within 1 s")).await;
    assert!(began.elapsed() < WITHIN * 3, "{:?}", began.elapsed());
}

#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
    check(Does::Floods(head.into()), "passed").await;
    let endless_head = "HTTP/1.1 200 OK\r\nx: ";
    check(Does::Floods(endless_head.into()), &format!("failed: {GET}: what was answered is no HTTP")).await;
}

#[tokio::test]
async fn a_method_without_an_answers_body_works_too() {
    let server = Server::start(Does::Says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".into())).await;
    let loopback = || settings(&["127.0.0.0/8"]);
    for method in ["HEAD", "OPTIONS", "POST"] {
        let found = ask(Ok(Some(service(server.address))), loopback(), &question(method)).await;
        let expected = if method == "HEAD" { "passed" } else { "failed: " };
        assert!(found.starts_with(expected), "{method}: {found}");
    }
    let methods: Vec<_> =
        server.requests().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["HEAD", "OPTIONS", "POST"]);
}

#[tokio::test]
async fn a_service_that_nobody_listens_for_fails_and_one_that_cannot_be_read_says_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let loopback = || settings(&["127.0.0.0/8"]);
    let found = ask(Ok(Some(service(free))), loopback(), &question("GET")).await;
    assert_eq!(found, format!("failed: {GET}: connection refused"));
    let found = ask(Ok(None), loopback(), &question("GET")).await;
    assert_eq!(found, format!("failed: {GET}: there is no Service c-web in c-production"));
    let away = Err(ClusterError::Unavailable("timed out".into()));
    let found = ask(away, loopback(), &question("GET")).await;
    assert_eq!(found, "silent: its Service cannot be read: the cluster cannot be reached: timed out");
}

#[tokio::test]
async fn an_address_that_is_refused_is_never_connected_to() {
    let server = Server::start(says("HTTP/1.1 200 OK")).await;
    let own = service(server.address);
    let machine = format!("failed: {GET}: its Service has the address 127.0.0.1, this very machine");
    assert_eq!(ask(Ok(Some(own.clone())), settings(&[]), &question("GET")).await, machine);
    let mapped = Service { cluster_ip: Some("::ffff:127.0.0.1".into()), ..own.clone() };
    assert_eq!(ask(Ok(Some(mapped)), settings(&[]), &question("GET")).await, machine);
    let name = Service { kind: "ExternalName".into(), cluster_ip: None, ..own.clone() };
    let out = format!("failed: {GET}: its Service is of type ExternalName: it leads out of the cluster");
    assert_eq!(ask(Ok(Some(name)), settings(&["0.0.0.0/0"]), &question("GET")).await, out);
    let reserved = Settings { reserved: vec![server.address.ip()], ..settings(&["127.0.0.0/8"]) };
    let api = format!("failed: {GET}: its Service has the address 127.0.0.1, the API server");
    assert_eq!(ask(Ok(Some(own)), reserved, &question("GET")).await, api);
    assert_eq!(server.requests(), [""; 0]);
}

/// What is made of a Prometheus that does so.
async fn check_query(does: Does, expected: &str) -> Server {
    let server = Server::start(does).await;
    let url = format!("http://{}/prometheus", server.address);
    let settings = Settings { prometheus: Some(url.parse().unwrap()), ..Settings::default() };
    let query = Question::Prometheus { query: "sum(up{job=\"web\"}) > 0".into() };
    assert_eq!(ask(Ok(None), settings, &query).await, expected);
    server
}

#[tokio::test]
async fn prometheus_is_asked_one_query_and_only_data_passes() {
    let vector = |result: &str| {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#);
        Does::Says(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    let server = check_query(vector(r#"[{"value":[1,"3"]}]"#), "passed").await;
    let request = server.requests().remove(0);
    let line = "GET /prometheus/api/v1/query?query=sum%28up%7Bjob%3D%22web%22%7D%29%20%3E%200 HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    check_query(vector("[]"), "silent: the Prometheus query gave no data").await;
    check_query(Does::Nothing, "silent: Prometheus did not answer within 1 s").await;
    check_query(Does::HangsUp, "silent: Prometheus: the answer broke off").await;
    let flood = Does::Floods("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n".into());
    check_query(flood, "silent: Prometheus answered with more than 1048576 bytes").await;
    let nowhere = ask(Ok(None), Settings::default(), &Question::Prometheus { query: "up".into() }).await;
    assert_eq!(nowhere, "silent: no Prometheus is configured (microservices.health-check.prometheus-url)");
}
