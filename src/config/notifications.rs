//! Who is told what happened to deployments, and where.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde::Deserialize;

use crate::adapters::notify;
use crate::app::notify::Form;
use crate::domain::names::{CustomerId, Environment};
use crate::domain::notification::{Interest, Template, Trigger};

/// Targets that there may be.
const TARGETS: usize = 20;
/// Headers that a target may have.
const HEADERS: usize = 20;
/// Characters that a target's name may have: it is a label of metrics.
const NAME: usize = 63;

/// Notifications. Without targets nobody is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notifications {
    /// The address of the page, such as `https://orchestrator.example.com`, for links; none for no links.
    pub link: Option<String>,
    /// Who is told.
    pub targets: Vec<NotificationTarget>,
}

/// One that is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotificationTarget {
    /// A name for logs and metrics.
    pub name: String,
    /// The form of its messages: `slack`, which others such as Mattermost take too, or `webhook`.
    #[serde(rename = "type")]
    pub form: Form,
    /// Its address, which may be a secret: as it is, or `${VARIABLE}` for one from the environment.
    pub url: SecretString,
    /// What messages to a webhook are signed with (Standard Webhooks): `whsec_` and Base64, or the key itself.
    #[serde(default)]
    pub secret: Option<SecretString>,
    /// What it is told of. Default `succeeded`, `failed`, `rolled-back` and `awaiting-approval`.
    #[serde(default = "usual")]
    pub on: Vec<Trigger>,
    /// Of whose deployments it is told; none for all.
    #[serde(default)]
    pub customers: Vec<CustomerId>,
    /// Of which environments; none for all.
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// A text in place of the main one, with names such as `{{ customer }}`.
    #[serde(default)]
    pub template: Option<Template>,
    /// Headers that it needs, by their names.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// Whether plaintext to another machine is right (a mesh encrypts). Default false.
    #[serde(default)]
    pub allow_plaintext: bool,
}

fn usual() -> Vec<Trigger> {
    Trigger::USUAL.to_vec()
}

impl NotificationTarget {
    /// Which notices it wants.
    pub fn interest(&self) -> Interest {
        Interest {
            on: self.on.clone(),
            customers: self.customers.iter().map(ToString::to_string).collect(),
            environments: self.environments.iter().map(ToString::to_string).collect(),
        }
    }

    /// Where it is, and what it needs.
    pub fn settings(&self) -> notify::Settings {
        notify::Settings {
            url: self.url.clone(),
            secret: self.secret.clone(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            allow_plaintext: self.allow_plaintext,
        }
    }

    fn check(&self) -> Result<(), String> {
        let fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > NAME || !self.name.chars().all(fine) {
            return Err(format!("name: has to be 1 to {NAME} letters, digits, '-', '_' or '.'"));
        }
        if self.on.is_empty() {
            return Err("on: is empty, so nothing would be told: leave it out, or the target".into());
        }
        if self.headers.len() > HEADERS {
            return Err(format!("headers: there are {}; at most {HEADERS} are allowed", self.headers.len()));
        }
        if self.form == Form::Slack && self.secret.is_some() {
            return Err("secret: Slack checks no signature: leave it out, or use `type: webhook`".into());
        }
        self.settings().check().map_err(|error| error.to_string())
    }
}

impl Notifications {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if let Some(link) = &self.link {
            let wrong = |reason: &str| Err(("notifications.link".to_owned(), format!("{link:?} {reason}")));
            let Ok(url) = link.parse::<hyper::Uri>() else {
                return wrong("is not an address such as https://orchestrator.example.com");
            };
            let known = matches!(url.scheme_str(), Some("http" | "https"));
            if !known || url.host().is_none() || url.query().is_some() || link.contains('#') {
                return wrong("is not the address of a page such as https://orchestrator.example.com");
            }
            if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
                return Err((
                    "notifications.link".into(),
                    "has a password in it: everybody would read it".into(),
                ));
            }
        }
        let count = self.targets.len();
        if count > TARGETS {
            let reason = format!("there are {count}; at most {TARGETS} are allowed");
            return Err(("notifications.targets".into(), reason));
        }
        let mut names = BTreeSet::new();
        for target in &self.targets {
            let setting = || format!("notifications.targets[{}]", target.name);
            if !names.insert(&target.name) {
                return Err((setting(), "is there twice".into()));
            }
            target.check().map_err(|reason| (setting(), reason))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::Config;

    const URL: &str = "url: 'https://hooks.example.com/services/hush'";

    fn parsed(targets: &str) -> Result<Config, String> {
        let variable = |name: &str| (name == "HOOK").then(|| "https://hooks.example.com/hush".to_owned());
        let text = format!("notifications: {{targets: {targets}}}\n");
        Config::parse("c.yaml", &text, &variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_target_says_all_that_is_needed_and_nothing_else_or_the_error_says_what_is_wrong() {
        let many: String = (0..21).map(|n| format!("{{name: t{n}, type: slack, {URL}}},")).collect();
        for (targets, said) in [
            (format!("[{{name: a, type: slack, {URL}}}]"), ""),
            (
                format!(
                    "[{{name: a, type: webhook, {URL}, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}}]"
                ),
                "",
            ),
            ("[{name: a, type: webhook, url: '${HOOK}', headers: {X-Key: hush}}]".into(), ""),
            (
                "[{name: a, type: webhook, url: '${HOKO}'}]".into(),
                "notifications.targets[a].url: the variable HOKO is not set",
            ),
            (
                format!("[{{name: a, type: slack, {URL}, secret: hush-hush-hush-hush-hush}}]"),
                "notifications.targets[a]: secret: Slack checks no signature",
            ),
            (
                format!("[{{name: a, type: webhook, {URL}, secret: hush}}]"),
                "notifications.targets[a]: secret: has 4 bytes",
            ),
            (
                "[{name: a, type: slack, url: 'http://example.com/hush'}]".into(),
                "set `allow-plaintext: true`",
            ),
            (format!("[{{name: a, type: email, {URL}}}]"), "email"),
            (format!("[{{name: a b, type: slack, {URL}}}]"), "name: has to be 1 to 63 letters"),
            (format!("[{{name: a, type: slack, {URL}, on: []}}]"), "on: is empty"),
            (format!("[{{name: a, type: slack, {URL}, on: [exploded]}}]"), "exploded"),
            (format!("[{{name: a, type: slack, {URL}, channel: b}}]"), "channel"),
            (
                format!("[{{name: a, type: slack, {URL}, template: 'by {{{{ custmer }}}}'}}]"),
                "did you mean `customer`?",
            ),
            (format!("[{{name: a, type: slack, {URL}, customers: [A_B]}}]"), "is not a DNS label"),
            (
                format!("[{{name: a, type: slack, {URL}}}, {{name: a, type: slack, {URL}}}]"),
                "notifications.targets[a]: is there twice",
            ),
            (format!("[{many}]"), "there are 21; at most 20"),
        ] {
            match parsed(&targets) {
                Ok(_) => assert_eq!(said, "", "{targets} is taken"),
                Err(error) => {
                    assert!(!said.is_empty() && error.contains(said), "{targets}: {error}");
                    assert!(!error.contains("hush"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_target_that_says_nothing_of_it_is_told_the_usual_of_everybody() {
        let config =
            parsed("[{name: a, type: slack, url: '${HOOK}'}]").unwrap_or_else(|error| panic!("{error}"));
        let target = config.notifications.targets.first().unwrap_or_else(|| panic!("no target"));
        assert_eq!(target.url.expose_secret(), "https://hooks.example.com/hush");
        let interest = target.interest();
        for trigger in Trigger::ALL {
            let usual = Trigger::USUAL.contains(&trigger);
            assert_eq!(interest.covers(trigger, "customer-a", "production"), usual, "{trigger}");
        }
    }

    #[test]
    fn a_link_is_the_address_of_a_page() {
        for (link, said) in [
            ("https://orchestrator.example.com", ""),
            ("http://orchestrator.example.com/deploy/", ""),
            ("orchestrator.example.com", "is not the address of a page"),
            ("https://example.com/?a=b", "is not the address of a page"),
            ("https://example.com/#/x", "is not the address of a page"),
            ("https://alice:hush@example.com", "has a password in it"),
        ] {
            let answer = Config::parse("c.yaml", &format!("notifications: {{link: '{link}'}}"), &|_| None);
            match answer {
                Ok(_) => assert_eq!(said, "", "{link}"),
                Err(error) => {
                    assert!(!said.is_empty() && error.to_string().contains(said), "{link}: {error}")
                }
            }
        }
    }
}
