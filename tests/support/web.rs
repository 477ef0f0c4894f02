//! The HTTP server on a real port, and a client that speaks to it as anybody would.

use std::net::SocketAddr;

use argocd_orchestrator::app::App;
use argocd_orchestrator::http::{self, ServeError};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// The HTTP server.
pub struct Web {
    pub app: App,
    pub address: SocketAddr,
    stop: CancellationToken,
    /// Its files, where nobody else has them.
    world: Option<World>,
    serving: JoinHandle<Result<(), ServeError>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Web {
    /// Without a worker: what it accepts stays accepted.
    pub async fn start(world: World) -> Self {
        let (app, _cluster) = world.parts().await;
        Self { world: Some(world), ..Self::beside(app).await }
    }

    /// Beside whatever else runs of the same parts.
    pub async fn beside(app: App) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let settings = app.config.http.clone().unwrap_or_default();
        let serving = tokio::spawn(http::serve(app.clone(), settings, 0, listener, stop.clone()));
        Self { app, address, stop, world: None, serving }
    }

    /// The same client, for another address of this server. It ends with the program.
    pub fn at(&self, address: SocketAddr) -> Self {
        let serving = tokio::spawn(std::future::ready(Ok(())));
        Self { app: self.app.clone(), address, stop: self.stop.clone(), world: None, serving }
    }

    pub async fn stop(mut self) {
        let world = self.world.take();
        self.halt().await.store.close().await;
        drop(world);
    }

    /// Stops serving and gives the parts back.
    pub async fn halt(self) -> App {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        self.app
    }

    /// Sends a request on a connection of its own, and gives the answer before its body was read.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let response = self.open(self.request(method, path, headers, body)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A request as [`Web::send`] sends it.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    /// Asks for something that is there.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    /// The same with a token.
    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &format!("Bearer {token}"))], b"").await
    }

    pub async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        self.send("POST", path, &headers, body.to_string().as_bytes()).await
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The problem that this has to be, with this status.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }
}

/// The SHA-256 of a token, as the configuration has it.
pub fn sha256(token: &str) -> argocd_orchestrator::config::http::Digest {
    let hex: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.try_into().unwrap()
}
