//! Who may do what: roles, each for some customers. What is not granted is denied.

use serde::Deserialize;

use super::names::CustomerId;

/// What somebody may do for a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Look, ask for deployments, checks and rollbacks, and steer those under way.
    Operator,
    /// Look, and agree to plans or refuse them.
    Approver,
    /// All of it.
    Admin,
}

impl Role {
    /// Whether whoever has this role may do what needs the other.
    pub fn includes(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || needed == Self::Viewer
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// For whom a role is granted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Customers {
    /// For all, written as the word `all`.
    All(All),
    /// For these.
    These(Vec<CustomerId>),
}

/// The word `all`. An empty list is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum All {
    /// Every customer, also those to come.
    All,
}

impl Customers {
    fn contain(&self, customer: &CustomerId) -> bool {
        match self {
            Self::All(All::All) => true,
            Self::These(these) => these.contains(customer),
        }
    }
}

/// A role for some customers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// For whom.
    pub customers: Customers,
}

/// Whether something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// The customer is visible, but the role is missing.
    Forbidden,
    /// The customer is not visible, and nobody is to learn whether it exists.
    Hidden,
}

/// Everything that somebody was granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access(Vec<Grant>);

impl Access {
    /// What these grants allow.
    pub fn new(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// The grants themselves.
    pub fn grants(&self) -> &[Grant] {
        &self.0
    }

    /// Everything, for everybody.
    pub fn full() -> Self {
        Self(vec![Grant { role: Role::Admin, customers: Customers::All(All::All) }])
    }

    /// Whether something that needs a role may be done for a customer.
    pub fn decide(&self, needed: Role, customer: &CustomerId) -> Decision {
        let mut of_customer = self.0.iter().filter(|grant| grant.customers.contain(customer)).peekable();
        if of_customer.peek().is_none() {
            Decision::Hidden
        } else if of_customer.any(|grant| grant.role.includes(needed)) {
            Decision::Allowed
        } else {
            Decision::Forbidden
        }
    }

    /// Whether a customer is visible.
    pub fn sees(&self, customer: &CustomerId) -> bool {
        self.decide(Role::Viewer, customer) == Decision::Allowed
    }

    /// Whether something that belongs to no customer, or to all of them, may be done.
    pub fn covers_all(&self, needed: Role) -> bool {
        self.0.iter().any(|grant| grant.customers == Customers::All(All::All) && grant.role.includes(needed))
    }

    /// The customers that are visible, each once; none where all are.
    pub fn visible(&self) -> Option<Vec<CustomerId>> {
        let mut visible = Vec::new();
        for grant in &self.0 {
            match &grant.customers {
                Customers::All(All::All) => return None,
                Customers::These(these) => visible.extend(these.iter().cloned()),
            }
        }
        visible.sort();
        visible.dedup();
        Some(visible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(name: &str) -> CustomerId {
        name.parse().unwrap()
    }

    fn these(role: Role, names: &[&str]) -> Grant {
        Grant { role, customers: Customers::These(names.iter().map(|name| customer(name)).collect()) }
    }

    #[test]
    fn what_is_not_granted_is_denied_and_what_is_not_visible_is_hidden() {
        use Decision::{Allowed, Forbidden, Hidden};
        let all = |role| Grant { role, customers: Customers::All(All::All) };
        let cases = [
            (vec![], Role::Viewer, "a", Hidden),
            (vec![these(Role::Admin, &[])], Role::Viewer, "a", Hidden),
            (vec![these(Role::Viewer, &["a"])], Role::Viewer, "a", Allowed),
            (vec![these(Role::Viewer, &["a"])], Role::Viewer, "b", Hidden),
            (vec![these(Role::Viewer, &["a"])], Role::Operator, "a", Forbidden),
            (vec![these(Role::Operator, &["a"])], Role::Viewer, "a", Allowed),
            (vec![these(Role::Operator, &["a"])], Role::Approver, "a", Forbidden),
            (vec![these(Role::Approver, &["a"])], Role::Operator, "a", Forbidden),
            (
                vec![these(Role::Operator, &["a"]), these(Role::Approver, &["a"])],
                Role::Approver,
                "a",
                Allowed,
            ),
            (
                vec![these(Role::Operator, &["a"]), these(Role::Approver, &["b"])],
                Role::Approver,
                "a",
                Forbidden,
            ),
            (vec![these(Role::Admin, &["a"])], Role::Approver, "a", Allowed),
            (vec![all(Role::Viewer), these(Role::Operator, &["a"])], Role::Operator, "b", Forbidden),
            (vec![all(Role::Admin)], Role::Operator, "whoever", Allowed),
        ];
        for (grants, needed, name, expected) in cases {
            let access = Access::new(grants);
            assert_eq!(access.decide(needed, &customer(name)), expected, "{access:?} {needed:?} {name}");
        }
    }

    #[test]
    fn a_grant_for_some_covers_no_more_than_them() {
        let access = Access::new(vec![these(Role::Admin, &["b", "a"]), these(Role::Viewer, &["a"])]);
        assert!(!access.covers_all(Role::Viewer));
        assert_eq!(access.visible(), Some(vec![customer("a"), customer("b")]));
        assert_eq!(Access::default().visible(), Some(Vec::new()));
        assert!(Access::full().covers_all(Role::Admin) && Access::full().visible().is_none());
    }
}
