//! Stored logins: one file for each server, below the user's configuration folder, for its owner alone.
//!
//! Providers that rotate refresh tokens take each of them once. So whoever asks for a new token holds the server's
//! lock from the reading of the old one to the writing of the new one, and who comes second finds it there.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::files::read_secret;
use super::{Exit, Failure};
use crate::client::{AuthorizationServer, ClientError, Device, Tokens, is_loopback};
use crate::domain::plan::fingerprint;

/// A token that is worth nothing this soon is asked for anew already.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// The pause between two looks at a lock that another program has.
const PAUSE: Duration = Duration::from_millis(50);

/// How long another program may have the lock: longer than a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stored login.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Credential {
    /// Whose it is. A file that was put in the place of another one is none.
    server: String,
    #[serde(serialize_with = "exposed")]
    access_token: SecretString,
    #[serde(serialize_with = "exposed_if_any")]
    refresh_token: Option<SecretString>,
    expires_at: Option<Timestamp>,
    device: Device,
}

fn exposed<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(to)
}

fn exposed_if_any<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}

impl Credential {
    pub(super) fn new(server: &Url, device: Device, tokens: Tokens) -> Self {
        Self {
            server: server.to_string(),
            expires_at: end(&tokens),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            device,
        }
    }

    pub(super) fn token(&self) -> SecretString {
        self.access_token.clone()
    }

    /// Where and how it came about.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// What is given back at a logout, and what it is called: with a refresh token all that came of it.
    pub(super) fn revocable(&self) -> (&SecretString, &'static str) {
        match &self.refresh_token {
            Some(token) => (token, "refresh_token"),
            None => (&self.access_token, "access_token"),
        }
    }

    fn is_over(&self, at: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= at)
    }

    /// Takes what was given for the refresh token. One that was not replaced goes on to count.
    fn renew(&mut self, tokens: Tokens) {
        self.expires_at = end(&tokens);
        self.access_token = tokens.access_token;
        self.refresh_token = tokens.refresh_token.or(self.refresh_token.take());
    }
}

/// When a token is worth nothing any more.
fn end(tokens: &Tokens) -> Option<Timestamp> {
    let seconds = SignedDuration::from_secs(i64::try_from(tokens.expires_in?).ok()?);
    Timestamp::now().checked_add(seconds).ok()
}

/// Where the login at one server is kept.
pub(super) struct Place {
    server: Url,
    folder: PathBuf,
    file: PathBuf,
}

impl Place {
    /// The place for a server; none where there may be none: what is kept is sent over plaintext to this machine
    /// alone, and without a home there is no folder.
    pub(super) fn of(server: &Url) -> Option<Self> {
        if server.scheme() != "https" && !is_loopback(server) {
            return None;
        }
        let set =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
        let folder = config.join("argocd-orchestrator").join("logins");
        let file = folder.join(format!("{}.json", fingerprint(&server.as_str())));
        Some(Self { server: server.clone(), folder, file })
    }

    /// Whether there is anything, be it a login or not.
    pub(super) fn is_taken(&self) -> bool {
        self.file.exists()
    }

    /// The login that is kept; none where nobody is logged in.
    pub(super) fn read(&self) -> Result<Option<Credential>, Failure> {
        if !self.is_taken() {
            return Ok(None);
        }
        let text = read_secret(&self.file)?;
        let found: Option<Credential> = serde_json::from_str(&text).ok();
        match found.filter(|found| found.server == self.server.as_str()) {
            Some(found) => Ok(Some(found)),
            None => {
                let message = format!(
                    "{} is not a login at {}: `logout`, and `login` again",
                    self.file.display(),
                    self.server
                );
                Err(Failure::new(Exit::InvalidInput, message))
            }
        }
    }

    /// Keeps a login in place of any other.
    pub(super) async fn keep(&self, credential: &Credential) -> Result<(), Failure> {
        let _lock = self.lock().await?;
        self.write(credential)
    }

    /// Forgets the login. One that cannot be read is forgotten as well.
    pub(super) async fn forget(&self) -> Result<Option<Credential>, Failure> {
        if !self.is_taken() {
            return Ok(None);
        }
        let _lock = self.lock().await?;
        let was = self.read().ok().flatten();
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.wrong(&error)),
            Ok(()) | Err(_) => Ok(was),
        }
    }

    /// The token of the login that is kept, a new one where it is over. `ca` is for the provider.
    pub(super) async fn token(&self, ca: Option<&[u8]>) -> Result<Option<SecretString>, Failure> {
        let Some(found) = self.read()? else { return Ok(None) };
        if !found.is_over(Timestamp::now() + MARGIN) {
            return Ok(Some(found.token()));
        }
        let _lock = self.lock().await?;
        // Another program may have been here, and may even have forgotten it.
        let Some(mut found) = self.read()? else { return Ok(None) };
        if !found.is_over(Timestamp::now() + MARGIN) {
            return Ok(Some(found.token()));
        }
        let Some(refresh) = &found.refresh_token else {
            if found.is_over(Timestamp::now()) {
                let message = format!("the login at {} is over: `login` again", self.server);
                return Err(Failure::new(Exit::Refused, message));
            }
            return Ok(Some(found.token()));
        };
        let provider = AuthorizationServer::new(found.device.clone(), &self.server, ca)?;
        match provider.refresh(refresh).await {
            Ok(tokens) => {
                found.renew(tokens);
                self.write(&found)?;
            }
            // It still counts for a moment.
            Err(ClientError::Unreachable { .. }) if !found.is_over(Timestamp::now()) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Some(found.token()))
    }

    /// Waits until no other program changes this login. The lock ends with the file that is given back.
    async fn lock(&self) -> Result<File, Failure> {
        self.make_folder().map_err(|error| self.wrong(&error))?;
        // It is never removed: who waits for it would have another one than who comes later.
        let path = self.file.with_extension("lock");
        let mut options = File::options();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| self.wrong(&error))?;
        let free = async {
            loop {
                match file.try_lock() {
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(self.wrong(&error)),
                    Ok(()) => return Ok(()),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, free).await {
            Ok(locked) => locked.map(|()| file),
            Err(_) => {
                let message = format!("another program has {} for a minute already", path.display());
                Err(Failure::new(Exit::Unavailable, message))
            }
        }
    }

    fn make_folder(&self) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        #[cfg(unix)]
        std::fs::set_permissions(&self.folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(())
    }

    fn write(&self, credential: &Credential) -> Result<(), Failure> {
        let text = serde_json::to_string(credential).map_err(|error| Failure::new(Exit::Failure, error))?;
        self.replace(text.as_bytes()).map_err(|error| self.wrong(&error))
    }

    fn replace(&self, text: &[u8]) -> std::io::Result<()> {
        // A temporary file is for its owner alone from the beginning; the name is taken in one step.
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(text)?;
        // A refresh token that was rotated exists nowhere else.
        temporary.as_file().sync_all()?;
        temporary.persist(&self.file)?;
        Ok(())
    }

    fn wrong(&self, error: &std::io::Error) -> Failure {
        Failure::new(Exit::Failure, format!("{}: {error}", self.file.display()))
    }
}
