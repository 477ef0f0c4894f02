//! `--standalone`: the same use case without a server elsewhere. The server runs in this process, on a loopback port
//! with a token that nobody else has, for as long as the step does.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::files::Files;
use crate::cli::{Common, Failure, parts, server};
use crate::client::{Client, Connection};
use crate::config::http::AccessToken;
use crate::config::{Config, Http};
use crate::domain::access::{All, Customers, Grant, Role};
use crate::step::{Fault, Name, Outcome, Request, StepExit, Steps};
use crate::{http, worker};

/// The name of who asks.
const WHO: &str = "standalone";

/// Runs a step with a database of its own.
pub(super) async fn run(common: &Common, request: &Request, files: &Files) -> Outcome {
    if !request.step.may_stand_alone() {
        let able = Name::ALL.into_iter().filter(|name| name.may_stand_alone()).map(Name::word);
        let able = able.collect::<Vec<_>>().join(", ");
        let message = format!("{} needs a server: --standalone is for {able}", request.step);
        return Fault::new(StepExit::Usage, message).into();
    }
    if server::is_on_the_command_line() {
        let message = "--standalone asks no server: leave --server out";
        return Fault::new(StepExit::Usage, message).into();
    }
    match alone(common, request, files).await {
        Ok(outcome) => outcome,
        Err(failure) => Fault::from(failure).into(),
    }
}

async fn alone(common: &Common, request: &Request, files: &Files) -> Result<Outcome, Failure> {
    let token: SecretString = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()).into();
    let config = config(parts::config(common)?, &token)?;
    let settings = config.http.clone().unwrap_or_default();
    let (app, lease) = parts::app(config).await?;
    let listener = TcpListener::bind(settings.listen).await?;
    let server = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    // However this ends: also where a signal ends the step, the parts are told to stop.
    let _stopped = stop.clone().drop_guard();
    let epoch = lease.epoch();
    let working = tokio::spawn(worker::run(app.clone(), lease, stop.clone()));
    let serving = tokio::spawn(http::serve(app.clone(), settings, epoch, listener, stop.clone()));
    let client = Client::new(Connection { server, token: Some(token), ..Connection::default() })?;
    let outcome = Steps::of(client).run(request, |standing| files.tell(standing)).await;
    stop.cancel();
    // What they could say is in the log; the outcome is known.
    let _ = tokio::join!(working, serving);
    app.store.close().await;
    Ok(outcome)
}

/// The configuration, with an interface for this process alone. Nothing is deployed but what is asked for.
fn config(mut config: Config, token: &SecretString) -> Result<Config, Failure> {
    let hex: String =
        Sha256::digest(token.expose_secret()).iter().map(|byte| format!("{byte:02x}")).collect();
    let sha256 = hex.try_into().map_err(|error| anyhow::anyhow!("no hash of a token: {error}"))?;
    let all = Grant { role: Role::Operator, customers: Customers::All(All::All) };
    let tokens = vec![AccessToken { name: WHO.into(), sha256, roles: vec![all] }];
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    config.http = Some(Http { listen, tokens, ..Http::default() });
    for source in &mut config.sources {
        source.poll = jiff::SignedDuration::ZERO;
    }
    Ok(config)
}
