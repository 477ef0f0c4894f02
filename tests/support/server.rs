//! The trigger's server on a real port, and a client that calls it as a sensor does.

use std::net::SocketAddr;

use argocd_orchestrator::app::App;
use argocd_orchestrator::domain::diagnostic::Diagnostic;
use argocd_orchestrator::domain::names::EventId;
use argocd_orchestrator::grpc::generated::trigger_client::TriggerClient;
use argocd_orchestrator::grpc::generated::{ApplyPolicyRequest, ExecuteRequest, FetchResourceRequest};
use argocd_orchestrator::grpc::{self, Receipt, ServeError};
use argocd_orchestrator::store::{EventFilter, StoredEvent};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use super::world::World;

/// The trigger's server, without a worker: what it accepts stays accepted.
pub struct Server {
    pub app: App,
    pub address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub async fn start(world: &World) -> Self {
        let (app, _cluster) = world.parts().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(grpc::serve(app.clone(), listener, stop.clone()));
        Self { app, address, stop, serving }
    }

    pub async fn client(&self) -> Client {
        Client(TriggerClient::connect(format!("http://{}", self.address)).await.unwrap())
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        self.app.store.close().await;
    }

    /// All events, newest first.
    pub async fn events(&self) -> Vec<StoredEvent> {
        self.app.store.events(&EventFilter::default(), 1_000).await.unwrap().value
    }

    /// How many dead letters there are.
    pub async fn letters(&self) -> usize {
        self.app.store.dead_letters(1_000).await.unwrap().value.len()
    }

    pub async fn event(&self, id: &str) -> StoredEvent {
        let id: EventId = id.parse().unwrap();
        self.app.store.event(&id).await.unwrap().unwrap_or_else(|| panic!("no event {id}"))
    }
}

/// A connection.
#[derive(Clone)]
pub struct Client(pub TriggerClient<Channel>);

impl Client {
    pub async fn fetch(&mut self, yaml: &[u8]) -> Result<String, Status> {
        let answer = self.0.fetch_resource(FetchResourceRequest { resource: yaml.to_vec() }).await?;
        Ok(String::from_utf8(answer.into_inner().resource).unwrap())
    }

    pub async fn execute_bytes(&mut self, resource: &[u8], payload: &[u8]) -> Result<Receipt, Status> {
        let request = ExecuteRequest { resource: resource.to_vec(), payload: payload.to_vec() };
        let answer = self.0.execute(request).await?.into_inner();
        Ok(serde_json::from_slice(&answer.response).unwrap())
    }

    /// The payload `null` stands for none at all.
    pub async fn execute(&mut self, spec: &Value, payload: &Value) -> Result<Receipt, Status> {
        let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        self.execute_bytes(spec.to_string().as_bytes(), &payload).await
    }

    pub async fn policy(&mut self, request: &[u8]) -> Result<(bool, String), Status> {
        let answer =
            self.0.apply_policy(ApplyPolicyRequest { request: request.to_vec() }).await?.into_inner();
        Ok((answer.success, answer.message))
    }
}

/// Faults as text, one a line.
pub fn lines(faults: &[Diagnostic]) -> String {
    let line = |fault: &Diagnostic| format!("{} {}\n", fault, fault.help.as_deref().unwrap_or_default());
    faults.iter().map(line).collect()
}
