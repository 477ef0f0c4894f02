//! The device flow of a login provider (RFC 8628), with refresh tokens that count once, and tokens that are given back.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

/// The client of the command line.
pub const CLI: &str = "the-command-line";

/// What is answered: a status, and a body.
pub type Said = (u16, Value);

/// What somebody has typed, and what came of it.
pub struct Devices {
    /// The errors that are answered before there is a token.
    pub first: VecDeque<&'static str>,
    /// Whether somebody agrees after that; it is waited for otherwise.
    pub agreed: bool,
    /// Who agrees, and that one's groups.
    pub who: (String, Vec<String>),
    /// Seconds that a code counts.
    pub code_lasts: u64,
    /// What is said of an access token's life, in seconds.
    pub token_lasts: u64,
    /// Whether another refresh token takes the place of one that was used.
    pub rotates: bool,
    /// What was asked, form by form.
    pub asked: Vec<BTreeMap<String, String>>,
    pub refreshed: usize,
    pub revoked: Vec<String>,
    /// The refresh token that counts.
    refresh: Option<String>,
    given: usize,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            first: VecDeque::new(),
            agreed: true,
            who: ("alice".into(), vec!["watchers".into()]),
            code_lasts: 60,
            token_lasts: 300,
            rotates: true,
            asked: Vec::new(),
            refreshed: 0,
            revoked: Vec::new(),
            refresh: None,
            given: 0,
        }
    }
}

impl Devices {
    /// Whoever asks for a code.
    pub fn code(&mut self, issuer: &str, form: BTreeMap<String, String>) -> Said {
        let right = form.get("client_id").map(String::as_str) == Some(CLI);
        self.asked.push(form);
        if !right {
            return (401, json!({"error": "invalid_client"}));
        }
        let body = json!({
            "device_code": "canary-device-code", "user_code": "WDJB-MJHT", "interval": 1,
            "expires_in": self.code_lasts, "verification_uri": format!("{issuer}/device"),
            "verification_uri_complete": format!("{issuer}/device?user_code=WDJB-MJHT"),
        });
        (200, body)
    }

    /// Whoever asks for a token; `sign` makes one.
    pub fn token(
        &mut self,
        form: BTreeMap<String, String>,
        sign: impl Fn(&str, &[String]) -> String,
    ) -> Said {
        let error = |word: &str| (400, json!({"error": word, "error_description": "as it was asked for"}));
        let refreshes = form.get("grant_type").is_some_and(|kind| kind == "refresh_token");
        let token = form.get("refresh_token").cloned();
        self.asked.push(form);
        if refreshes {
            if token.is_none() || token != self.refresh {
                // One that was used already: whoever has it may have stolen it, and nothing of it counts any more.
                self.refresh = None;
                return error("invalid_grant");
            }
            self.refreshed += 1;
        } else {
            match self.first.pop_front() {
                Some("unavailable") => return (503, Value::Null),
                Some(word) => return error(word),
                None if !self.agreed => return error("authorization_pending"),
                None => {}
            }
        }
        let (who, groups) = &self.who;
        self.given += 1;
        let mut body = json!({
            "access_token": sign(who, groups), "token_type": "bearer", "expires_in": self.token_lasts,
        });
        if self.rotates || !refreshes {
            let refresh = format!("canary-refresh-{}", self.given);
            body["refresh_token"] = refresh.clone().into();
            self.refresh = Some(refresh);
        }
        (200, body)
    }

    /// Whoever gives a token back.
    pub fn revoke(&mut self, form: &BTreeMap<String, String>) -> Said {
        let token = form.get("token").cloned().unwrap_or_default();
        if self.refresh.as_deref() == Some(token.as_str()) {
            self.refresh = None;
        }
        self.revoked.push(token);
        (200, Value::Null)
    }

    /// Nothing that was given for a later time counts any more.
    pub fn forgets(&mut self) {
        self.refresh = None;
    }
}
