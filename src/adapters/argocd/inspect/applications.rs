//! Reads the Applications that are driven, and what else would move them. The judgements are those of `write`, by
//! which each sync is refused as well.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::super::facts;
use super::super::resource::Application;
use super::super::write::{self, Hold};
use super::{Inspector, Trouble, in_time};
use crate::domain::check::argo_cd::{ArgoCd, Conflict, Sort};
use crate::domain::check::kinds::{GROUP, VERSION};
use crate::domain::manifest::CUSTOMER;
use crate::domain::names::AppName;
use crate::ports::ClusterError;

/// Applications on a page: with their status they are large.
const PAGE: u32 = 200;

/// Applications that are read.
const APPLICATIONS: usize = 10_000;

/// ApplicationSets that are read.
const SETS: usize = 1_000;

/// What a controller of Argo CD is labelled with.
const PART_OF: &str = "app.kubernetes.io/part-of=argocd";

/// What of an Application matters here.
struct Driven {
    name: AppName,
    set: Option<String>,
    written: Option<&'static str>,
    moves: Result<(), String>,
}

impl Inspector {
    /// Argo CD and its Applications: those of customers, and those that deploy from one of these repositories.
    ///
    /// # Errors
    /// When the API server does not answer. That it refuses is told in what is returned.
    pub async fn argo_cd(
        &self,
        namespace: &str,
        hold: Hold,
        repositories: &BTreeSet<String>,
    ) -> Result<ArgoCd, ClusterError> {
        let mut facts = ArgoCd {
            namespace: namespace.to_owned(),
            images: self.argo_cd_images(namespace).await?,
            ..ArgoCd::default()
        };
        let repositories: BTreeSet<String> = repositories.iter().map(|url| alike(url)).collect();
        let api: Api<Application> = Api::namespaced(self.client.clone(), namespace);
        let mut parameters = ListParams::default().limit(PAGE);
        let mut driven = Vec::new();
        loop {
            let page = match in_time(api.list(&parameters)).await {
                Ok(page) => page,
                Err(Trouble::Missing) => {
                    facts.unreadable = Some("the cluster knows no Applications".into());
                    break;
                }
                // The list is older than what etcd keeps; what was read counts.
                Err(Trouble::Refused(_)) if parameters.continue_token.is_some() => {
                    facts.more = true;
                    break;
                }
                Err(Trouble::Refused(why)) => {
                    facts.unreadable = Some(why);
                    break;
                }
                Err(trouble) => return Err(trouble.into()),
            };
            facts.applications += page.items.len();
            for app in page.items.iter().filter(|app| is_driven(app, &repositories)) {
                facts.driven += 1;
                let destination = app.spec.destination.as_ref().and_then(|to| to.get("namespace")?.as_str());
                facts.namespaces.extend(destination.map(str::to_owned));
                driven.extend(of(app, hold));
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                None => break,
                Some(_) if facts.applications >= APPLICATIONS => {
                    facts.more = true;
                    break;
                }
                Some(token) => parameters = parameters.continue_token(&token),
            }
        }
        let names: BTreeSet<&str> = driven.iter().filter_map(|one| one.set.as_deref()).collect();
        let sets = self.sets(namespace, names).await?;
        facts.conflicts = conflicts(&driven, &sets, hold);
        Ok(facts)
    }

    /// The ApplicationSets of these names that are there, and may be read.
    async fn sets(
        &self,
        namespace: &str,
        names: BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Value>, ClusterError> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, "ApplicationSet"));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let mut found = BTreeMap::new();
        for name in names.into_iter().take(SETS) {
            match in_time(api.get(name)).await {
                Ok(set) => {
                    found.insert(name.to_owned(), set.data);
                }
                Err(Trouble::Missing | Trouble::Refused(_)) => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(found)
    }

    /// The images of Argo CD's controllers; none where they are not in this namespace, or not to be seen.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn argo_cd_images(&self, namespace: &str) -> Result<Vec<String>, ClusterError> {
        let parameters = ListParams::default().labels(PART_OF).limit(PAGE);
        let sets: Api<StatefulSet> = Api::namespaced(self.client.clone(), namespace);
        let sets = seen(in_time(sets.list(&parameters)).await)?.map(|list| list.items).unwrap_or_default();
        let mut pods: Vec<_> = sets.into_iter().filter_map(|set| set.spec?.template.spec).collect();
        if pods.is_empty() {
            let others: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
            let others =
                seen(in_time(others.list(&parameters)).await)?.map(|list| list.items).unwrap_or_default();
            pods = others.into_iter().filter_map(|one| one.spec?.template.spec).collect();
        }
        let containers = pods.into_iter().flat_map(|pod| pod.containers);
        // Others of its parts, such as Redis, have versions of their own.
        let controllers = containers.filter(|container| container.name.starts_with("argocd-"));
        Ok(controllers.filter_map(|container| container.image).collect())
    }
}

/// What was read; none where it is not there, or may not be read.
fn seen<T>(read: Result<T, Trouble>) -> Result<Option<T>, ClusterError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Trouble::Missing | Trouble::Refused(_)) => Ok(None),
        Err(trouble) => Err(trouble.into()),
    }
}

/// A repository's address without what makes no difference.
fn alike(url: &str) -> String {
    url.trim_end_matches('/').trim_end_matches(".git").to_lowercase()
}

fn is_driven(app: &Application, repositories: &BTreeSet<String>) -> bool {
    let labels = app.metadata.labels.as_ref();
    if labels.is_some_and(|labels| labels.contains_key(CUSTOMER)) {
        return true;
    }
    let repository = app.spec.source.as_ref().and_then(|source| source.get("repoURL")?.as_str());
    repository.is_some_and(|url| repositories.contains(&alike(url)))
}

fn of(app: &Application, hold: Hold) -> Option<Driven> {
    let name = facts::name(app)?;
    let moves = match hold {
        Hold::Observe => Ok(()),
        Hold::Refuse => write::check_automated(&name, app).map_err(|error| error.to_string()),
        Hold::Pin | Hold::Disable if write::moves_by_itself(app) => Err(format!(
            "{name} follows a branch with automated sync on, so that each push reaches it in no order until its first \
             deployment from here: deploy it once, or switch automated sync off"
        )),
        Hold::Pin | Hold::Disable => Ok(()),
    };
    let set = write::owner_set(app).map(str::to_owned);
    Some(Driven { name, set, written: write::written(app, hold), moves })
}

/// What moves Applications that are driven, each with all that it moves.
fn conflicts(driven: &[Driven], sets: &BTreeMap<String, Value>, hold: Hold) -> Vec<Conflict> {
    let mut found: BTreeMap<(Sort, Option<&str>), Conflict> = BTreeMap::new();
    for app in driven {
        let mut add = |sort, set, why: String| {
            let conflict = found.entry((sort, set)).or_insert_with(|| {
                let (text, remedy) = why.split_once(": ").unwrap_or((&why, ""));
                Conflict {
                    sort,
                    set: set.map(str::to_owned),
                    applications: Vec::new(),
                    text: text.to_owned(),
                    remedy: remedy.to_owned(),
                }
            });
            conflict.applications.push(app.name.to_string());
        };
        if let Err(why) = &app.moves {
            let sort = if hold == Hold::Refuse { Sort::AutoSync } else { Sort::AutoSyncUntilFirst };
            add(sort, None, why.clone());
        }
        let Some((name, set)) = app.set.as_deref().and_then(|set| sets.get_key_value(set)) else { continue };
        if hold == Hold::Observe {
            continue;
        }
        if let Err(why) = write::check_set(set, name, app.name.as_str(), None) {
            add(Sort::RollingSync, Some(name), why);
        } else if let Err(why) = write::check_set(set, name, app.name.as_str(), app.written) {
            add(Sort::PinUndone, Some(name), why);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// How it is held, a change of the Application, its ApplicationSet, and what moves it.
    type Case<'a> = (Hold, fn(&mut Value), &'a Value, &'a [Sort]);

    fn application(change: fn(&mut Value)) -> Application {
        let mut json = json!({
            "metadata": { "name": "c-web" },
            "spec": { "source": {
                "repoURL": "https://git.example.com/Customers.git", "path": "web", "targetRevision": "main",
            } },
        });
        change(&mut json);
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn driven_is_what_is_of_a_customer_or_of_a_configured_repository() {
        let repositories = |url: &str| BTreeSet::from([alike(url)]);
        let nobodys = application(|_| {});
        let ours = application(|app| app["metadata"]["labels"] = json!({ CUSTOMER: "c" }));
        for (app, url, expected) in [
            (&nobodys, "https://git.example.com/customers", true),
            (&nobodys, "https://git.example.com/customers.git/", true),
            (&nobodys, "https://git.example.com/others.git", false),
            (&ours, "https://git.example.com/others.git", true),
        ] {
            assert_eq!(is_driven(app, &repositories(url)), expected, "{url}");
        }
    }

    #[test]
    fn what_else_moves_an_application_is_judged_by_how_it_is_held() {
        let automated = |app: &mut Value| app["spec"]["syncPolicy"] = json!({ "automated": {} });
        let owned = |app: &mut Value| {
            let owner = json!({ "apiVersion": "a", "kind": "ApplicationSet", "name": "all", "uid": "1" });
            app["metadata"]["ownerReferences"] = json!([owner]);
        };
        let pinned = |app: &mut Value| {
            app["spec"]["source"]["targetRevision"] = json!("a".repeat(40));
            app["spec"]["syncPolicy"] = json!({ "automated": {} });
        };
        let rolling = json!({ "spec": { "strategy": { "type": "RollingSync" } } });
        let plain = json!({ "spec": {} });
        let pointers = ["/spec/source/targetRevision", "/spec/syncPolicy"];
        let ignoring = json!({ "spec": { "ignoreApplicationDifferences": [{ "jsonPointers": pointers }] } });
        let cases: [Case<'_>; 13] = [
            (Hold::Pin, |_| {}, &plain, &[]),
            (Hold::Pin, automated, &plain, &[Sort::AutoSyncUntilFirst]),
            (Hold::Disable, automated, &plain, &[Sort::AutoSyncUntilFirst]),
            (Hold::Refuse, automated, &plain, &[Sort::AutoSync]),
            (Hold::Observe, automated, &plain, &[]),
            (Hold::Refuse, pinned, &plain, &[]),
            (Hold::Pin, owned, &plain, &[Sort::PinUndone]),
            (Hold::Disable, owned, &plain, &[Sort::PinUndone]),
            (Hold::Refuse, owned, &plain, &[]),
            (Hold::Pin, owned, &ignoring, &[]),
            (Hold::Pin, owned, &rolling, &[Sort::RollingSync]),
            (Hold::Refuse, owned, &rolling, &[Sort::RollingSync]),
            (Hold::Observe, owned, &rolling, &[]),
        ];
        for (hold, change, set, expected) in cases {
            let driven: Vec<Driven> = of(&application(change), hold).into_iter().collect();
            let sets = BTreeMap::from([("all".to_owned(), set.clone())]);
            let found = conflicts(&driven, &sets, hold);
            let sorts: Vec<Sort> = found.iter().map(|conflict| conflict.sort).collect();
            assert_eq!(sorts, expected, "{hold:?} {set}");
            for conflict in found {
                assert_eq!(conflict.applications, ["c-web"]);
                assert!(!conflict.remedy.is_empty(), "{conflict:?}");
            }
        }
    }
}
