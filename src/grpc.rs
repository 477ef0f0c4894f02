//! The custom trigger that Argo Events' sensors call.
//!
//! Contract: `proto/trigger.proto`, and what sensors really do with it (argo-events, `custom-trigger.go` and
//! `listener.go`): each attempt is FetchResource, Execute, ApplyPolicy, without a deadline; a trigger works on
//! one event at a time and retries every error alike; nothing but an error of ours makes it try again, and once
//! we answered OK the event is gone from the bus. Hence:
//!
//! - OK is answered only after the event is on the disk;
//! - only what may succeed later is an error, and what never can is kept as a dead letter and answered OK, so
//!   that it does not block the events behind it;
//! - Execute touches neither git nor the cluster.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::app::receive::{Arrival, Refusal, Scope};
use crate::app::{App, traces};
use crate::config::Grpc;
use crate::domain::audit::{Origin, Via};
use crate::domain::diagnostic::{Code, Diagnostic, Place};
use crate::domain::names::EventId;
use crate::store::{EventState, Outcome, StoreError};
use crate::tls::{self, CertificateError, Certificates};

pub use crate::app::receive::{Receipt, Taken, new_id};

use generated::trigger_server::{Trigger, TriggerServer};
use generated::{
    ApplyPolicyRequest, ApplyPolicyResponse, ExecuteRequest, ExecuteResponse, FetchResourceRequest,
    FetchResourceResponse,
};

/// The contract's types, generated.
pub mod generated {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("triggers");
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/triggers.bin"));

/// How often an idle connection is asked whether it is still there; sensors ask nothing themselves.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Streams of one connection that may be open at once.
const MAX_STREAMS: u32 = 200;

/// The name of a caller where nobody has to say who it is.
const ANYBODY: &str = "anybody";

/// Handshakes that are under way at once; more wait in the listener's own queue.
const HANDSHAKES: usize = 256;

/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificate or key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The transport.
    #[error("the trigger's server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The reflection service.
    #[error("the trigger's contract cannot be described: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves the trigger on a listener until `stop` is cancelled; calls under way are finished.
///
/// # Errors
/// When the certificate cannot be used, or the transport fails.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let settings = app.config.grpc.clone();
    let timeout = Duration::try_from(settings.timeout).unwrap_or(Duration::from_secs(10));
    let mut server = Server::builder()
        .timeout(timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE));
    let certificates = settings.tls.as_ref().map(|tls| Certificates::read(tls, &[b"h2"])).transpose()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<TriggerServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    let limit = usize::try_from(settings.max_message.as_u64()).unwrap_or(usize::MAX);
    let trigger = TriggerServer::new(Service::new(app))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let server = server.add_service(health_service).add_service(reflection).add_service(trigger);
    let stopped = stop.clone();
    let until = async move {
        stopped.cancelled().await;
        health.set_not_serving::<TriggerServer<Service>>().await;
    };
    match certificates {
        Some(certificates) => {
            let incoming = handshakes(listener, certificates, timeout, stop);
            server.serve_with_incoming_shutdown(incoming, until).await?;
        }
        None => server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), until).await?,
    }
    Ok(())
}

/// Connections whose handshake is over. A slow one holds no other back.
fn handshakes(
    listener: TcpListener,
    certificates: Certificates,
    patience: Duration,
    stop: CancellationToken,
) -> ReceiverStream<Result<TlsStream<TcpStream>, std::io::Error>> {
    let (ready, streams) = mpsc::channel(HANDSHAKES);
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::spawn(async move {
        while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
            let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, most likely: it would fail again at once.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let handshake = TlsAcceptor::from(certificates.current()).accept(stream);
            let ready = ready.clone();
            tokio::spawn(async move {
                match tokio::time::timeout(patience, handshake).await {
                    // Nobody takes it once the server stops.
                    Ok(Ok(stream)) => drop(ready.send(Ok(stream)).await),
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS connection came about"),
                    Err(_) => tracing::debug!("a handshake did not end in time"),
                }
                drop(place);
            });
        }
    });
    ReceiverStream::new(streams)
}

/// The trigger.
struct Service {
    app: App,
    slots: Arc<Semaphore>,
}

impl Service {
    fn new(app: App) -> Self {
        let slots = Arc::new(Semaphore::new(app.config.grpc.max_concurrent.max(1)));
        Self { app, slots }
    }

    async fn execute(&self, message: ExecuteRequest, from: Sender) -> Result<Receipt, Status> {
        let (spec, token) = match spec(&message.resource) {
            Ok(mut spec) => {
                let token = spec.remove("token");
                (Ok(spec), token)
            }
            Err(fault) => (Err(fault), None),
        };
        let caller = authenticate(&self.app.config.grpc, token.as_ref(), &from.names)?;
        let scope = caller.as_ref().map(|caller| caller.scope).unwrap_or_default();
        let origin = Origin {
            actor: caller.as_ref().map_or(ANYBODY, |caller| caller.name).to_owned(),
            via: Via::Trigger,
            address: from.address.map(|address| address.to_canonical().to_string()),
            request: None,
        };
        // The credential is no part of what is kept.
        let resource = without_token(&message.resource);
        let arrival = Arrival { spec, resource, payload: message.payload, origin };
        match self.app.receive(scope, arrival, Timestamp::now()).await {
            Ok(receipt) => Ok(receipt),
            Err(Refusal::NotCovered) => {
                let (name, credential) =
                    caller.map_or((ANYBODY, "token"), |caller| (caller.name, caller.credential));
                tracing::warn!(name, credential, "a credential was used for what it does not cover");
                Err(Status::permission_denied(format!("the {credential} does not cover this")))
            }
            Err(Refusal::Store(error)) => Err(refusal(error)),
        }
    }

    async fn policy(&self, request: &[u8]) -> Result<(bool, String), Status> {
        let Ok(receipt) = serde_json::from_slice::<Receipt>(request) else {
            return Ok((false, "this is not what Execute answered".into()));
        };
        if receipt.status == Taken::DeadLetter {
            return Ok((false, format!("{} can never succeed and was kept as a dead letter", receipt.event)));
        }
        let Ok(id) = receipt.event.parse::<EventId>() else {
            return Ok((false, "this is not what Execute answered".into()));
        };
        let Some(event) = self.app.store.event(&id).await.map_err(refusal)? else {
            return Ok((false, format!("there is no event {id}")));
        };
        Ok(match event.state {
            EventState::Accepted { reason: None, .. } => (true, format!("{id} is accepted")),
            EventState::Accepted { reason: Some(reason), .. } => {
                (true, format!("{id} is tried again: {reason}"))
            }
            EventState::Settled { outcome, .. } => match outcome {
                Outcome::Planned => {
                    let ids: Vec<_> = event.deployments.iter().map(ToString::to_string).collect();
                    (true, format!("{id} led to {}", ids.join(", ")))
                }
                Outcome::Ignored { reason } => (true, format!("{id} is ignored: {reason}")),
                Outcome::Superseded { reason } => (true, format!("{id} is superseded: {reason}")),
                Outcome::Rejected { reason, .. } => (false, format!("{id} is rejected: {reason}")),
            },
        })
    }
}

#[tonic::async_trait]
impl Trigger for Service {
    async fn fetch_resource(
        &self,
        request: Request<FetchResourceRequest>,
    ) -> Result<Response<FetchResourceResponse>, Status> {
        let resource = fetch_resource(&request.into_inner().resource)?;
        Ok(Response::new(FetchResourceResponse { resource }))
    }

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(Status::resource_exhausted("too many calls at once; try again"));
        };
        let from = Sender::of(request.extensions());
        let address = from.address;
        let said =
            request.metadata().get("traceparent").and_then(|said| said.to_str().ok()).map(str::to_owned);
        let call = Self::execute(self, request.into_inner(), from);
        let trace_id = said.as_deref().and_then(traces::id);
        let address = address.map(tracing::field::display);
        let span = tracing::info_span!("grpc", call = "Execute", address, trace_id);
        let receipt = traces::within(said.as_deref(), call).instrument(span).await?;
        let response = serde_json::to_vec(&receipt).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(ExecuteResponse { response }))
    }

    async fn apply_policy(
        &self,
        request: Request<ApplyPolicyRequest>,
    ) -> Result<Response<ApplyPolicyResponse>, Status> {
        let (success, message) = self.policy(&request.into_inner().request).await?;
        Ok(Response::new(ApplyPolicyResponse { success, message }))
    }
}

/// From where a call comes: with TLS the connection says so in another way.
#[derive(Debug, Default)]
struct Sender {
    address: Option<IpAddr>,
    /// The names of the client certificate, which the handshake has verified.
    names: Vec<String>,
}

impl Sender {
    fn of(extensions: &tonic::Extensions) -> Self {
        let plain = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        let secure = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        let address = plain.or_else(|| secure?.get_ref().remote_addr()).map(|address| address.ip());
        let certificates = secure.and_then(TlsConnectInfo::peer_certs);
        Self { address, names: certificates.map(|found| tls::names(&found)).unwrap_or_default() }
    }
}

/// The YAML map of `custom.spec` as a compact JSON object. Pure, because every retry asks for it again.
fn fetch_resource(yaml: &[u8]) -> Result<Vec<u8>, Status> {
    let wrong = |what: &str| Status::invalid_argument(format!("`spec` {what}"));
    let text = std::str::from_utf8(yaml).map_err(|_| wrong("is not UTF-8"))?;
    if text.trim().is_empty() {
        return Ok(b"{}".to_vec());
    }
    // As texts: `"1.10"` stays what it is, and nothing deeper can come.
    let options = serde_saphyr::options! { with_snippet: false };
    let map =
        serde_saphyr::from_str_with_options::<std::collections::BTreeMap<String, String>>(text, options);
    let map = map.map_err(|_| wrong("is not a map of texts"))?;
    serde_json::to_vec(&map).map_err(|error| Status::internal(error.to_string()))
}

fn spec(resource: &[u8]) -> Result<Map<String, Value>, Diagnostic> {
    if resource.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(resource) {
        Ok(Value::Object(spec)) => Ok(spec),
        Ok(_) | Err(_) => {
            let place = Place::file("spec");
            Err(Diagnostic::error(
                Code::BadRequest,
                place,
                "it is not a JSON object as FetchResource answers it",
            ))
        }
    }
}

fn without_token(resource: &[u8]) -> Vec<u8> {
    match spec(resource) {
        Ok(mut spec) => {
            spec.remove("token");
            Value::Object(spec).to_string().into_bytes()
        }
        // It may hold a credential that cannot be told apart.
        Err(_) => Vec::new(),
    }
}

/// Who calls.
#[derive(Debug)]
struct Caller<'a> {
    name: &'a str,
    /// By which it is known: a token or a certificate.
    credential: &'static str,
    scope: Scope<'a>,
}

/// Who calls; none where nobody has to say so. A token in `spec` is what counts where there is one; where there is
/// none, the client certificate does.
///
/// All tokens are compared, each in constant time and by its hash, so that time tells nothing of any of them.
fn authenticate<'a>(
    settings: &'a Grpc,
    token: Option<&Value>,
    names: &[String],
) -> Result<Option<Caller<'a>>, Status> {
    if !settings.has_login() {
        return Ok(None);
    }
    if token.is_none()
        && let Some(known) = settings.certificates.iter().find(|known| names.contains(&known.name))
    {
        return Ok(Some(Caller { name: &known.name, credential: "certificate", scope: known.scope() }));
    }
    let given = token.and_then(Value::as_str).unwrap_or_default();
    let given = Sha256::digest(given.as_bytes());
    let mut caller = None;
    for token in &settings.tokens {
        let right = Sha256::digest(token.token.expose_secret().as_bytes());
        if bool::from(right.as_slice().ct_eq(given.as_slice())) {
            caller = Some(Caller { name: &token.name, credential: "token", scope: token.scope() });
        }
    }
    let wrong = match (token, settings.certificates.is_empty()) {
        (None, false) => "there is no token in `spec`, and no client certificate that is known",
        (Some(_), _) | (None, true) => "the token in `spec` is missing or wrong",
    };
    caller.map(Some).ok_or_else(|| Status::unauthenticated(wrong))
}

/// The one place where the store's errors become answers. What went wrong inside is logged, not sent.
fn refusal(error: StoreError) -> Status {
    tracing::error!(%error, "a call could not be stored");
    if matches!(error, StoreError::Busy { .. } | StoreError::Full) {
        Status::resource_exhausted("too much waits to be stored; try again")
    } else {
        Status::unavailable("the store does not take it now; try again")
    }
}
