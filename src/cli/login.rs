//! `login`, `logout` and `whoami`.

use super::credentials::{Credential, Place};
use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::{Common, Exit, Failure, output};
use crate::client::{AuthorizationServer, Client, Me, Tokens};

fn needed(client: Option<Client>) -> Result<Client, Failure> {
    client.ok_or_else(|| Failure::new(Exit::Usage, "this is about a server: give --server"))
}

fn place(client: &Client) -> Result<Place, Failure> {
    Place::of(client.server()).ok_or_else(|| {
        let message = format!(
            "no login can be kept for {}: it has to be https:// (or this machine), and HOME or XDG_CONFIG_HOME has to \
             be set",
            client.server()
        );
        Failure::new(Exit::Usage, message)
    })
}

pub(super) async fn login(common: &Common) -> Result<Exit, Failure> {
    tokio::select! {
        outcome = log_in(common) => outcome,
        // Around all of it: once somebody listens for an interrupt, it ends the program no more by itself.
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted: nobody was logged in")),
    }
}

async fn log_in(common: &Common) -> Result<Exit, Failure> {
    let client = needed(common.server.anonymous()?)?;
    let place = place(&client)?;
    let ways = client.ways_to_log_in().await?;
    if ways.local {
        output::write("no login is needed: whoever is on this machine may do everything")?;
        return Ok(Exit::Success);
    }
    let Some(device) = ways.device else {
        let message = format!("{} has no login for the command line: give --token-file", client.server());
        return Err(Failure::new(Exit::Refused, message));
    };
    let ca = common.server.ca()?;
    let provider = AuthorizationServer::new(device, client.server(), ca.as_deref())?;
    let tokens = agreed(&provider).await?;
    let credential = Credential::new(client.server(), provider.device().clone(), tokens);
    // Before it is kept: a token that this server does not take is no login.
    let me = client.clone().with_token(credential.token()).me().await?;
    place.keep(&credential).await?;
    output::write(&format!("logged in at {} as {}", client.server(), output::plain(&me.name)))?;
    if let Some(from) = common.server.token_from() {
        eprintln!("the token of {from} goes before this login: leave it out to use the login");
    }
    Ok(Exit::Success)
}

/// Tells what to open and type, and waits until somebody did.
async fn agreed(provider: &AuthorizationServer) -> Result<Tokens, Failure> {
    let code = provider.code().await?;
    let (address, word) = (output::plain(&code.verification_uri), output::plain(&code.user_code));
    eprintln!("open {address} and type {word}");
    if let Some(complete) = &code.verification_uri_complete {
        eprintln!("or open {}, and see that it shows {word}", output::plain(complete));
    }
    Ok(provider.tokens(&code).await?)
}

pub(super) async fn logout(common: &Common) -> Result<Exit, Failure> {
    let client = needed(common.server.anonymous()?)?;
    let place = place(&client)?;
    let was_there = place.is_taken();
    let credential = place.forget().await?;
    if let Some(credential) = credential
        && let Err(error) = give_back(common, &client, &credential).await
    {
        // What is here is gone in any case.
        eprintln!("warning: the login provider was not told: {error}");
    }
    output::write(if was_there { "logged out" } else { "nobody was logged in" })?;
    Ok(Exit::Success)
}

async fn give_back(common: &Common, client: &Client, credential: &Credential) -> Result<(), Failure> {
    let ca = common.server.ca()?;
    let provider = AuthorizationServer::new(credential.device().clone(), client.server(), ca.as_deref())?;
    let (token, hint) = credential.revocable();
    provider.revoke(token, hint).await?;
    Ok(())
}

pub(super) async fn whoami(common: &Common) -> Result<Exit, Failure> {
    let client = needed(common.server.client().await?)?;
    let me = client.me().await?;
    output::print(common.output, &me, || table(&me))?;
    Ok(Exit::Success)
}

fn table(me: &Me) -> String {
    let who = format!("{} ({})", output::plain(&me.name), output::plain(&me.via));
    if me.grants.is_empty() {
        return format!("{who}\nnothing may be done");
    }
    let mut table = Grid::new(&["ROLE", "CUSTOMERS"]);
    for grant in &me.grants {
        let customers = grant.customers.as_ref().map_or_else(|| "all".to_owned(), |all| all.join(", "));
        table.row([Cell::from(output::plain(&grant.role)), Cell::from(output::plain(&customers))]);
    }
    format!("{who}\n{}", table.render(Stream::Out.width()))
}
