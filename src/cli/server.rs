//! `--server`: which server commands ask, and with what.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use super::credentials::Place;
use super::files::{read, read_secret};
use super::{Command, Exit, Failure};
use crate::client::{Client, Connection};

/// The variable that may hold a token. There is no option for one: others can read a command line.
const TOKEN: &str = "ORCHESTRATOR_TOKEN";

/// Which server commands ask, and with what.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct Options {
    /// Ask this server by HTTP, such as `https://orchestrator.example.com`, instead of a database here
    #[arg(long, global = true, env = "ORCHESTRATOR_SERVER", value_name = "URL")]
    server: Option<String>,
    /// A file with the token that the server knows; nobody else may read it (`chmod 600`). ORCHESTRATOR_TOKEN can
    /// hold the token instead
    #[arg(long, global = true, env = "ORCHESTRATOR_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust servers whose certificate is signed by one of these (PEM), and no others
    #[arg(long, global = true, env = "ORCHESTRATOR_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A certificate (PEM) for servers that ask for one
    #[arg(long, global = true, env = "ORCHESTRATOR_CLIENT_CERTIFICATE", value_name = "FILE")]
    #[arg(requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Its key (PEM); nobody else may read it
    #[arg(long, global = true, env = "ORCHESTRATOR_CLIENT_KEY", value_name = "FILE")]
    #[arg(requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Speak plaintext HTTP to another machine, because something between encrypts
    #[arg(long, global = true, env = "ORCHESTRATOR_ALLOW_PLAINTEXT")]
    allow_plaintext: bool,
}

impl Options {
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// A client of the server, where one is given: with the token that is given, or with the stored login.
    pub(super) async fn client(&self) -> Result<Option<Client>, Failure> {
        let Some(client) = self.anonymous()? else { return Ok(None) };
        let token = match self.token()? {
            Some(token) => Some(token),
            None => match Place::of(client.server()) {
                Some(place) => place.token(self.ca()?.as_deref()).await?,
                None => None,
            },
        };
        Ok(Some(match token {
            Some(token) => client.with_token(token),
            None => client,
        }))
    }

    /// A client without a token.
    pub(super) fn anonymous(&self) -> Result<Option<Client>, Failure> {
        let Some(server) = &self.server else { return Ok(None) };
        let connection = Connection {
            server: server.clone(),
            token: None,
            ca: self.ca()?,
            identity: self.identity()?,
            allow_plaintext: self.allow_plaintext,
        };
        Ok(Some(Client::new(connection)?))
    }

    /// The certificates of `--ca`.
    pub(super) fn ca(&self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.ca.as_deref().map(read).transpose()?.map(String::into_bytes))
    }

    /// Where a token comes from that goes before a stored login, if one does.
    pub(super) fn token_from(&self) -> Option<String> {
        let variable = || std::env::var_os(TOKEN).map(|_| TOKEN.to_owned());
        self.token_file.as_ref().map(|file| file.display().to_string()).or_else(variable)
    }

    fn token(&self) -> Result<Option<SecretString>, Failure> {
        let (from, text) = match &self.token_file {
            Some(file) => (file.display().to_string(), read_secret(file)?),
            None => match std::env::var(TOKEN) {
                Ok(text) => (TOKEN.to_owned(), text),
                Err(_) => return Ok(None),
            },
        };
        let token = text.trim();
        if token.is_empty() || !token.chars().all(|letter| letter.is_ascii_graphic()) {
            let message =
                format!("{from} is not a token: it has to be one word of ASCII letters, digits and signs");
            return Err(Failure::new(Exit::InvalidInput, message));
        }
        Ok(Some(token.into()))
    }

    fn identity(&self) -> Result<Option<SecretString>, Failure> {
        let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) else {
            return Ok(None);
        };
        Ok(Some(format!("{}\n{}", read(certificate)?, read_secret(key)?).into()))
    }
}

/// Whether a server is named on the command line. One in the environment is for other commands.
pub(super) fn is_on_the_command_line() -> bool {
    std::env::args_os()
        .skip(1)
        .any(|argument| argument == "--server" || argument.to_string_lossy().starts_with("--server="))
}

/// Says so where a server is given to a command that asks none. One in the environment is for other commands.
pub(super) fn check(command: &Command) -> Result<(), Failure> {
    let name = match command {
        Command::Serve(_) => "serve",
        Command::Demo(_) => "demo",
        Command::Plan(_) => "plan",
        Command::Graph(_) => "graph",
        Command::Explain(_) => "explain",
        Command::Validate(_) => "validate",
        Command::Generate(_) => "generate",
        Command::Simulate(_) => "simulate",
        Command::Notify(_) => "notify",
        Command::Migrate => "migrate",
        Command::Schema(_) => "schema",
        Command::Completion(_) => "completion",
        Command::Login
        | Command::Logout
        | Command::Whoami
        | Command::Deploy(_)
        | Command::Status(_)
        | Command::Why(_)
        | Command::History(_)
        | Command::Customers(_)
        | Command::Events(_)
        | Command::Audit(_)
        | Command::Check(_)
        | Command::DeadLetters(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Abort(_)
        | Command::Retry(_)
        | Command::Skip(_)
        | Command::Rollback(_)
        | Command::Step(_)
        | Command::ExecutorPlugin(_) => return Ok(()),
    };
    if is_on_the_command_line() {
        let message = format!("`{name}` works on this machine alone and needs no server: leave --server out");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(())
}
