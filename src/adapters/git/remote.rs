//! Where a repository is, how to log in there, and what is refused: the address is checked once, here.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::names::SourceName;

/// A repository as the configuration gives it; never from a payload.
#[derive(Clone)]
pub struct Repository {
    /// What everything else calls it.
    pub name: SourceName,
    /// `https://host/path`, `ssh://user@host/path`, `user@host:path`, or `file:///path`. Without credentials.
    pub url: String,
    /// Whether a `file://` address is allowed.
    pub allow_file: bool,
    /// The user for `https`; `x-access-token` (GitHub's) where there is only a token.
    pub username: Option<String>,
    /// The token or password for `https`.
    pub token: Option<SecretString>,
    /// The private key for `ssh`; what ssh finds by itself where it is not given.
    pub ssh_key: Option<PathBuf>,
    /// The hosts' keys for `ssh`. An unknown host is always refused.
    pub known_hosts: Option<PathBuf>,
}

impl Repository {
    /// A repository that needs no credentials.
    pub fn new(name: SourceName, url: impl Into<String>) -> Self {
        Self {
            name,
            url: url.into(),
            allow_file: false,
            username: None,
            token: None,
            ssh_key: None,
            known_hosts: None,
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("name", &self.name)
            .field("url", &without_credentials(&self.url))
            .field("allow_file", &self.allow_file)
            .finish_non_exhaustive()
    }
}

/// Why a configured repository is refused.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Its address is not one we use.
    #[error("the address {url} of repository {name} {fault}")]
    Address {
        /// Which repository.
        name: SourceName,
        /// The address, without credentials.
        url: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// The path of a key or of known hosts cannot be given to ssh.
    #[error("the ssh file {path} of repository {name} must be an absolute path without control characters")]
    SshFile {
        /// Which repository.
        name: SourceName,
        /// The path.
        path: String,
    },
    /// Credentials that the address has no use for.
    #[error("repository {0} has a token, which only https addresses take")]
    UselessToken(SourceName),
    /// Two repositories have one name.
    #[error("repository {0} is configured twice")]
    Twice(SourceName),
    /// The folder for the caches cannot be made.
    #[error("the folder for copies of repositories cannot be made: {0}")]
    CacheFolder(#[from] std::io::Error),
}

/// A checked address, with what git needs to use it.
pub(super) struct Remote {
    pub(super) url: String,
    /// For `GIT_ALLOW_PROTOCOL`.
    pub(super) protocol: &'static str,
    pub(super) configuration: Vec<(String, String)>,
    pub(super) variables: Vec<(&'static str, String)>,
    /// What must never be shown.
    secrets: Vec<SecretString>,
}

impl Remote {
    /// `ssh` is the program that git calls for ssh addresses.
    pub(super) fn new(repository: &Repository, ssh: &str) -> Result<Self, GitError> {
        let Repository { name, url, .. } = repository;
        let refused = |fault| GitError::Address { name: name.clone(), url: without_credentials(url), fault };
        let protocol = protocol(url, repository.allow_file).map_err(refused)?;
        let mut remote = Self {
            url: url.clone(),
            protocol,
            configuration: Vec::new(),
            variables: Vec::new(),
            secrets: Vec::new(),
        };
        if let Some(token) = &repository.token {
            if protocol != HTTPS {
                return Err(GitError::UselessToken(name.clone()));
            }
            let user = repository.username.as_deref().unwrap_or("x-access-token");
            let basic = base64(format!("{user}:{}", token.expose_secret()).as_bytes());
            // For this host only.
            let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            remote
                .configuration
                .push((format!("http.{origin}/.extraHeader"), format!("Authorization: Basic {basic}")));
            remote.secrets = vec![token.clone(), basic.into()];
        }
        if protocol == SSH {
            // A program and not a command: git gives a command to a shell, and the container image has none.
            remote.variables.push(("GIT_SSH", ssh.to_owned()));
            remote.variables.push(("GIT_SSH_VARIANT", "ssh".to_owned()));
            remote.variables.push((SSH_OPTIONS, options(repository)?));
        }
        Ok(remote)
    }

    /// What git says, fit to be shown: no credentials, one line, not long.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in
            self.secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty())
        {
            text = text.replace(secret, "***");
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let words: Vec<String> = lines
            .flat_map(|line| line.split(' '))
            .map(without_credentials)
            .filter(|word| !word.is_empty())
            .collect();
        words.join(" ").chars().filter(|c| !c.is_control()).take(500).collect()
    }
}

/// The variable in which a [program](super::GitSettings::ssh) that git calls finds the options for ssh: a JSON array.
pub const SSH_OPTIONS: &str = "ARGOCD_ORCHESTRATOR_SSH_OPTIONS";

const HTTPS: &str = "https";
const SSH: &str = "ssh";
const FILE: &str = "file";

fn protocol(url: &str, allow_file: bool) -> Result<&'static str, &'static str> {
    if url.is_empty() || url.starts_with('-') {
        return Err("is empty or begins with '-'");
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("contains white space or control characters");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return scp_like(url);
    };
    let (authority, path) = rest.split_once('/').ok_or("has no path")?;
    match scheme {
        HTTPS if authority.contains('@') => {
            Err("contains credentials: they belong into the settings for user and token")
        }
        HTTPS => host(authority).map(|()| HTTPS),
        SSH => {
            let (user, address) = authority.rsplit_once('@').unwrap_or(("git", authority));
            if user.contains(':') {
                return Err("contains a password; ssh takes a key");
            }
            word(user).and_then(|()| host(address)).map(|()| SSH)
        }
        FILE if !allow_file => Err("is a file, which this repository's settings do not allow"),
        FILE if !authority.is_empty() || path.is_empty() => Err("is not of the form file:///path"),
        FILE => Ok(FILE),
        _other => Err("must begin with https:// or ssh:// (or file:// where that is allowed)"),
    }
}

/// `user@host:path`.
fn scp_like(url: &str) -> Result<&'static str, &'static str> {
    const FAULT: &str = "must begin with https:// or ssh://, or be of the form user@host:path";
    let (user, rest) = url.split_once('@').ok_or(FAULT)?;
    let (address, path) = rest.split_once(':').ok_or(FAULT)?;
    if path.is_empty() || path.starts_with([':', '-']) {
        return Err(FAULT);
    }
    word(user).and_then(|()| host(address)).map(|()| SSH)
}

fn host(address: &str) -> Result<(), &'static str> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => {
            let six =
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
            return if six && (port.is_empty() || is_port(port)) {
                Ok(())
            } else {
                Err("has no proper host")
            };
        }
        None => address.find(':').map_or((address, ""), |at| address.split_at(at)),
    };
    if !port.is_empty() && !is_port(port) {
        return Err("has no proper port");
    }
    word(host)
}

fn is_port(port: &str) -> bool {
    port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok())
}

fn word(text: &str) -> Result<(), &'static str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(fine) {
        Ok(())
    } else {
        Err("has no proper user or host")
    }
}

/// An address (or any word) without what stands before the `@` of its authority.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// What ssh is told beside what git tells it, as a JSON array of arguments.
fn options(repository: &Repository) -> Result<String, GitError> {
    let mut options: Vec<String> = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=20",
        "ServerAliveInterval=15",
        "ForwardAgent=no",
        "PermitLocalCommand=no",
    ]
    .map(|option| format!("-o{option}"))
    .to_vec();
    if let Some(key) = &repository.ssh_key {
        options.push("-oIdentitiesOnly=yes".into());
        // As `-i`, because ssh reads `-oIdentityFile=` like its configuration, where white space and `%` mean something.
        options.extend(["-i".into(), path(&repository.name, key)?]);
    }
    if let Some(hosts) = &repository.known_hosts {
        let hosts =
            path(&repository.name, hosts)?.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%");
        options.push(format!("-oUserKnownHostsFile=\"{hosts}\""));
    }
    Ok(serde_json::Value::from(options).to_string())
}

fn path(name: &SourceName, path: &std::path::Path) -> Result<String, GitError> {
    let refused = || GitError::SshFile { name: name.clone(), path: path.display().to_string() };
    let text = path.to_str().filter(|text| path.is_absolute() && !text.chars().any(char::is_control));
    Ok(text.ok_or_else(refused)?.to_owned())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            (0..3).fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            if at <= chunk.len() {
                text.push(char::from(LETTERS[(group >> (18 - 6 * at) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_ssh_and_allowed_files_are_addresses() {
        for (url, allow_file, expected) in [
            ("https://github.com/rtte/values.git", false, Some(HTTPS)),
            ("https://[::1]:8443/values.git", false, Some(HTTPS)),
            ("ssh://git@github.com:22/rtte/values.git", false, Some(SSH)),
            ("git@github.com:rtte/values.git", false, Some(SSH)),
            ("file:///srv/values.git", true, Some(FILE)),
            ("file:///srv/values.git", false, None),
            ("file://host/srv/values.git", true, None),
            ("/srv/values.git", true, None),
            ("../values.git", true, None),
            ("http://github.com/rtte/values.git", false, None),
            ("git://github.com/rtte/values.git", false, None),
            ("ext::sh", true, None),
            ("ext::sh -c whoami", true, None),
            ("user@ext::sh", true, None),
            ("--upload-pack=/bin/true", true, None),
            ("-oProxyCommand=x", true, None),
            ("ssh://-oProxyCommand=x/y", false, None),
            ("ssh://git@-oProxyCommand=x/y", false, None),
            ("git@-oProxyCommand=x:y", false, None),
            ("https://github.com\n/x", false, None),
            ("https://user:pass@github.com/x", false, None),
            ("https://github.com", false, None),
            ("https:///x", false, None),
            ("https://host:99999/x", false, None),
            ("", false, None),
        ] {
            assert_eq!(protocol(url, allow_file).ok(), expected, "{url}");
        }
    }

    #[test]
    fn credentials_are_neither_shown_nor_given_as_arguments() {
        let name: SourceName = "values".parse().unwrap();
        let with = Repository::new(name.clone(), "https://user:canary@github.com/x");
        let Err(error) = Remote::new(&with, "ssh") else { panic!("accepted") };
        assert!(!format!("{error} {error:?} {with:?}").contains("canary"));
        let token = Some(SecretString::from("canary"));
        let remote = Remote::new(
            &Repository { token: token.clone(), ..Repository::new(name.clone(), "https://github.com/x/y") },
            "ssh",
        )
        .unwrap();
        assert_eq!(remote.configuration[0].0, "http.https://github.com/.extraHeader");
        let basic = base64(b"x-access-token:canary");
        let said = format!("fatal: https://x:canary@github.com/x said {basic}\nand canary \u{1b}[31m");
        assert_eq!(remote.scrub(&said), "fatal: https://github.com/x said *** and *** [31m");
        let ssh = Repository { token, ..Repository::new(name, "git@github.com:x/y") };
        assert!(matches!(Remote::new(&ssh, "ssh"), Err(GitError::UselessToken(_))));
    }

    #[test]
    fn a_key_is_given_to_ssh_as_one_word() {
        let name: SourceName = "values".parse().unwrap();
        let key = |path: &str| Repository {
            ssh_key: Some(path.into()),
            known_hosts: Some("/keys/the \"known\" 100%".into()),
            ..Repository::new(name.clone(), "git@github.com:rtte/values.git")
        };
        let given: Vec<String> = serde_json::from_str(&options(&key("/keys/it's; rm -rf")).unwrap()).unwrap();
        assert!(
            given.ends_with(&[
                "-i".into(),
                "/keys/it's; rm -rf".into(),
                r#"-oUserKnownHostsFile="/keys/the \"known\" 100%%""#.into()
            ]),
            "{given:?}"
        );
        assert!(options(&key("relative")).is_err());
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
