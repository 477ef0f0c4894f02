//! Asks the API server what an account may do.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use super::{Inspector, in_time};
use crate::domain::check::permissions::{Answer, Need, Scope};
use crate::domain::names::{AppName, Namespace};
use crate::ports::ClusterError;

/// Questions that are asked at once.
const AT_ONCE: usize = 8;

/// Customers' namespaces that are asked about one by one.
const NAMESPACES: usize = 20;

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    namespace: Namespace,
    name: AppName,
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or("has to be NAMESPACE/NAME, such as argocd-orchestrator/argocd-orchestrator")?;
        Ok(Self {
            namespace: namespace.parse().map_err(|error| format!("the namespace {error}"))?,
            name: name.parse().map_err(|error| format!("the name {error}"))?,
        })
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceAccount {}/{}", self.namespace, self.name)
    }
}

impl Inspector {
    /// What is allowed of all that is needed, by an account or by who asks: the answers for each need, in their order.
    /// `customers` are the namespaces to ask about where something is not allowed in all.
    ///
    /// # Errors
    /// When the API server does not answer, or does not let others' rights be asked for.
    pub async fn may(
        &self,
        account: Option<&Account>,
        argo_cd: &str,
        customers: &BTreeSet<String>,
        needs: &[Need],
    ) -> Result<Vec<Vec<Answer>>, ClusterError> {
        let questions: Vec<(usize, &Need, &'static str)> = needs
            .iter()
            .enumerate()
            .flat_map(|(index, need)| need.verbs.iter().map(move |verb| (index, need, *verb)))
            .collect();
        let asked = stream::iter(questions).map(|(index, need, verb)| async move {
            let denied = self.denied(account, argo_cd, customers, need, verb).await?;
            Ok::<_, ClusterError>((index, Answer { verb, denied }))
        });
        let answers: Vec<(usize, Answer)> = asked.buffered(AT_ONCE).try_collect().await?;
        let mut of: BTreeMap<usize, Vec<Answer>> = BTreeMap::new();
        for (index, answer) in answers {
            of.entry(index).or_default().push(answer);
        }
        Ok((0..needs.len()).map(|index| of.remove(&index).unwrap_or_default()).collect())
    }

    /// Where it is not allowed; see [`Answer::denied`].
    async fn denied(
        &self,
        account: Option<&Account>,
        argo_cd: &str,
        customers: &BTreeSet<String>,
        need: &Need,
        verb: &'static str,
    ) -> Result<BTreeSet<String>, ClusterError> {
        let namespace = match need.scope {
            Scope::ArgoCd => Some(argo_cd),
            Scope::Customers | Scope::Cluster => None,
        };
        if self.allows(account, need, verb, namespace).await? {
            return Ok(BTreeSet::new());
        }
        if need.scope != Scope::Customers || customers.is_empty() {
            return Ok(BTreeSet::from([String::new()]));
        }
        let mut denied = BTreeSet::new();
        for namespace in customers.iter().take(NAMESPACES) {
            if !self.allows(account, need, verb, Some(namespace)).await? {
                denied.insert(namespace.clone());
            }
        }
        Ok(denied)
    }

    async fn allows(
        &self,
        account: Option<&Account>,
        need: &Need,
        verb: &str,
        namespace: Option<&str>,
    ) -> Result<bool, ClusterError> {
        let (resource, part) = match need.resource.split_once('/') {
            Some((resource, part)) => (resource, Some(part.to_owned())),
            None => (need.resource, None),
        };
        let attributes = ResourceAttributes {
            group: Some(need.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: part,
            verb: Some(verb.to_owned()),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let parameters = PostParams::default();
        let status = match account {
            None => {
                let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
                let spec = SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    ..SelfSubjectAccessReviewSpec::default()
                };
                let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
                in_time(api.create(&parameters, &review)).await?.status
            }
            Some(Account { namespace, name }) => {
                let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
                let spec = SubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    user: Some(format!("system:serviceaccount:{namespace}:{name}")),
                    // Those that Kubernetes puts each account into.
                    groups: Some(vec![
                        "system:serviceaccounts".to_owned(),
                        format!("system:serviceaccounts:{namespace}"),
                        "system:authenticated".to_owned(),
                    ]),
                    ..SubjectAccessReviewSpec::default()
                };
                let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
                in_time(api.create(&parameters, &review)).await?.status
            }
        };
        Ok(status.is_some_and(|status| status.allowed))
    }
}
