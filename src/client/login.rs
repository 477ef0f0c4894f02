//! How people log in at a server, and whom it takes somebody for.

use serde::{Deserialize, Serialize};

use super::endpoint::{Arguments, LOGIN, ME};
use super::{Client, ClientError};

/// The ways to log in at a server.
#[derive(Debug, Clone, Deserialize)]
pub struct Ways {
    /// Nobody has to.
    pub local: bool,
    /// By the browser.
    pub browser: bool,
    /// By the device flow; none where the command line needs a token.
    pub device: Option<Device>,
}

/// What the device flow (RFC 8628) needs: the endpoints of an authorization server, and this program's id there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// This program's id.
    pub client_id: String,
    /// Where a code is asked for.
    pub device_authorization_endpoint: String,
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// Where tokens are given back (RFC 7009); none where that cannot be done.
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// For whom it is to be.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The name that the journal has.
    pub name: String,
    /// How the server knows: `local`, `token`, `certificate`, `access-token` or `session`.
    pub via: String,
    /// What may be done.
    pub grants: Vec<Granted>,
}

/// A role, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// `viewer`, `operator`, `approver` or `admin`.
    pub role: String,
    /// The customers; none where it is for all.
    pub customers: Option<Vec<String>>,
}

impl Client {
    /// How to log in here.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn ways_to_log_in(&self) -> Result<Ways, ClientError> {
        self.get(&LOGIN, Arguments::new()).await
    }

    /// Who asks, and what that one may do.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.get(&ME, Arguments::new()).await
    }
}
